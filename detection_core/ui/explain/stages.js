// The stages of a detection, step by step over the image: input, maps by level, boxes before and after NMS, result.

import { make, makeButton, setText, show } from "../components/js/dom.js";
import { exactScore, stageFigures } from "./words.js";

const TITLES = /** @type {Record<string, string>} */ ({
  input: "Input, as the network sees it",
  features: "Feature maps",
  anchors: "Anchors: a grid of boxes to start from",
  "proposals before NMS": "Proposals before NMS",
  proposals: "Proposals: boxes that the first stage (RPN) passes on",
  candidates: "Candidates: boxes with classes",
  "before NMS": "Before NMS (non-maximum suppression)",
  "after NMS": "After NMS: the best of overlapping boxes",
  result: "Result",
});
const NAMED = 12;

/**
 * @param {Refs} ui
 * @param {{
 *   call: (name: string, sent: Record<string, any>) => Promise<any>,
 *   drawing: ReturnType<typeof import("./drawing.js").createDrawing>,
 *   region: () => Box,
 * }} mode
 */
export function createStages(ui, { call, drawing, region }) {
  /** @typedef {{ stage: number, name: string, title: string, text: string, figures: string, image?: "features" | "scores" }} StageStep */
  /** @type {StageStep[]} */
  let steps = [];
  let current = 0;
  let level = 0;
  let latest = 0;
  /** @type {string[]} */
  let levels = [];

  const previous = makeButton("dv-button", "Back", () => go(current - 1));
  const next = makeButton("dv-button dv-primary", "Next", () => go(current + 1));
  const levelChoice = Object.assign(make("select"), { ariaLabel: "Level of the maps" });
  const levelField = make("label", "dv-field");
  levelField.append(make("span", "", "Level, from fine to coarse"), levelChoice);
  levelChoice.addEventListener("change", () => {
    level = Number(levelChoice.value);
    go(current);
  });
  const list = make("ol", "dv-explain-steps");
  const text = make("p", "dv-hint");
  const buttons = make("div", "dv-explain-buttons");
  buttons.append(previous, next);
  ui.explainStages.append(buttons, levelField, text, list);

  /** @param {number} step */
  async function go(step) {
    current = Math.min(Math.max(step, 0), steps.length - 1);
    latest += 1;
    const turn = latest;
    const { stage, title, text: meaning, image, figures } = steps[current];
    previous.disabled = current === 0;
    next.disabled = current === steps.length - 1;
    show(levelField, Boolean(image));
    [...list.children].forEach((item, i) => {
      const button = /** @type {HTMLElement} */ (item.firstChild);
      if (i === current) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
    const answer = await call("explain_stage", { stage, image, level });
    if (turn !== latest || answer.error) return;
    const highest = image && answer.highest !== undefined ? ` Brightest: ${exactScore(answer.highest)}.` : "";
    const few = answer.boxes && answer.boxes.length < 400 ? "" : answer.boxes ? " The best 400 are drawn." : "";
    const above = answer.above === undefined ? "" : ` ${answer.above.toLocaleString("en")} of them ${answer.above === 1 ? "is" : "are"} above your threshold.`;
    setText(text, `${meaning}${meaning.endsWith(".") ? "" : "."}${highest}${few}${above}`);
    setText(ui.explainSaid, `Step ${current + 1} of ${steps.length}: ${title}. ${figures}`);
    if (answer.image) drawing.drawImage(answer.image, region());
    else if (answer.names.length && answer.boxes.length <= NAMED) {
      drawing.draw(answer.boxes.map((/** @type {Box} */ box, /** @type {number} */ i) => ({ box, label: `${answer.names[i]} ${exactScore(answer.scores[i])}`, kind: "candidate" })));
    } else drawing.drawMany(answer.boxes);
  }

  return {
    /** @param {ExplainStart} session */
    open(session) {
      levels = session.levels;
      const heat = session.limits ? "objectness" : "class";
      const of = session.limits ? "The first stage's (RPN's) best score, in each cell, for something being there" : "The best score of any class in each cell";
      steps = session.stages.flatMap((stage, i) => {
        const step = { stage: i, name: stage.name, title: TITLES[stage.name] ?? stage.name, text: `${stage.text[0].toUpperCase()}${stage.text.slice(1)}`, figures: stageFigures(stage) };
        if (stage.name !== "features") return [step];
        /** @type {StageStep[]} */
        const maps = [
          { ...step, image: "features", text: `${step.text}: brighter cells have stronger features` },
          { ...step, image: "scores", title: `Heat maps of ${heat} scores`, text: of, figures: "" },
        ];
        return maps;
      });
      levelChoice.replaceChildren(...levels.map((cells, i) => Object.assign(make("option", "", `${i + 1} of ${levels.length}: ${cells} cells`), { value: String(i) })));
      list.replaceChildren(...steps.map(({ title, figures }, i) => {
        const button = makeButton("dv-explain-pick", "", () => go(i));
        button.append(make("span", "", title), make("span", "dv-explain-remark", figures));
        const item = make("li");
        item.append(button);
        return item;
      }));
      current = level = 0;
    },
    show: () => go(current),
    /** Answers that are still on their way are no longer wanted. */
    leave() {
      latest += 1;
    },
  };
}
