// "What if?": settings after the network, changed on the kept candidates, with the changed result drawn over the image.

import { debounce, formatScore, make, makeButton, setText, show } from "../components/js/dom.js";
import { changeText, exactScore } from "./words.js";

const DELAY = 120;
const MOST = 300;

/**
 * @param {Refs} ui
 * @param {{
 *   call: (name: string, sent: Record<string, any>) => Promise<any>,
 *   draw: (marks: import("./drawing.js").Mark[]) => void,
 * }} mode
 */
export function createSettings(ui, { call, draw }) {
  /** @type {ExplainStart | null} */
  let start = null;
  /** @type {Record<string, HTMLInputElement>} */
  const inputs = {};

  /** @param {string} name @param {string} title @param {string} meaning @param {{ min: string, max: string, step: string }} properties @param {(value: number) => string} format */
  function addSlider(name, title, meaning, properties, format) {
    const label = make("label", "dv-field");
    const line = make("span", "dv-field-line");
    // Not an output, which would take the label from the slider.
    const output = make("span");
    output.setAttribute("aria-hidden", "true");
    const input = Object.assign(make("input"), { type: "range", ...properties });
    const update = () => {
      setText(output, format(Number(input.value)));
      input.style.setProperty("--fill", `${(100 * (Number(input.value) - Number(input.min))) / (Number(input.max) - Number(input.min))}%`);
    };
    line.append(make("strong", "", title), output);
    label.append(line, make("span", "dv-hint", meaning), input);
    input.addEventListener("input", () => {
      update();
      trySoon();
    });
    inputs[name] = input;
    ui.explainControls.append(label);
    return update;
  }

  const updates = [
    addSlider("nms_iou", "NMS IoU", "Non-maximum suppression: of two boxes of a class that overlap more than this, only the better one is kept.", { min: "0", max: "1", step: "0.01" }, formatScore),
    addSlider("min_score", "Minimum score", "Candidates with a lower score are dropped before NMS.", { min: "0", max: "1", step: "0.005" }, exactScore),
    addSlider("limit", "Detections per image", "Only so many of the best are kept after NMS.", { min: "1", max: String(MOST), step: "1" }, String),
  ];
  const agnostic = Object.assign(make("input"), { type: "checkbox" });
  const label = make("label", "dv-explain-check");
  label.append(agnostic, "NMS across classes: a dog can suppress a cat");
  agnostic.addEventListener("change", () => attempt());
  ui.explainControls.append(label, makeButton("dv-button", "Model's own settings", () => {
    reset();
    attempt();
  }));

  let latest = 0;
  async function attempt() {
    if (!start) return;
    latest += 1;
    const turn = latest;
    const numbers = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, Number(input.value)]));
    // A slider's steps are coarser than the lowest score that was kept.
    numbers.min_score = Math.max(numbers.min_score, start.lowest_min_score);
    const answer = await call("explain_settings", { ...numbers, class_agnostic: agnostic.checked });
    if (turn !== latest || answer.error) return;
    setText(ui.explainChange, changeText(answer));
    /** @type {import("./drawing.js").Mark[]} */
    const marks = answer.objects.map((/** @type {any} */ object) => ({
      box: object.box,
      label: object.new ? `${object.name} ${exactScore(object.score)}` : "",
      kind: object.new ? "candidate" : "found",
    }));
    draw([...answer.gone.map((/** @type {any} */ object) => ({ box: object.box, label: `gone: ${object.name}`, kind: "gone" })), ...marks]);
  }
  const trySoon = debounce(attempt, DELAY);

  function reset() {
    if (!start) return;
    const { nms_iou: iou, min_score: minScore, limit } = start.settings;
    Object.assign(inputs.nms_iou, { value: String(iou) });
    Object.assign(inputs.min_score, { value: String(minScore) });
    Object.assign(inputs.limit, { max: String(Math.max(MOST, limit)) });
    Object.assign(inputs.limit, { value: String(limit) });
    agnostic.checked = false;
    for (const update of updates) update();
  }

  return {
    /** @param {ExplainStart} session */
    open(session) {
      start = session;
      setText(ui.explainLimits, session.limits);
      show(ui.explainLimits, Boolean(session.limits));
      setText(ui.explainChange, "");
      reset();
    },
    show: attempt,
    /** Answers that are still on their way are no longer wanted. */
    leave() {
      latest += 1;
    },
  };
}
