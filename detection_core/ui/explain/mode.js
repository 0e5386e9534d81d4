// The mode Explain: a panel in place of the objects' one, and clicks on the image that ask why, or why not.

import { make, setText, show } from "../components/js/dom.js";
import { setBusy } from "../components/js/feedback.js";
import { createAnswers } from "./answers.js";
import { createDrawing } from "./drawing.js";
import { createPlaces } from "./places.js";
import { createSaliency } from "./saliency.js";
import { createSettings } from "./settings.js";
import { createStages } from "./stages.js";
import { exactScore, isWithin } from "./words.js";

const SECTIONS = /** @type {const} */ (["ask", "settings", "stages"]);
const UNREACHED = "The server could not be reached. Try again.";

/**
 * @param {Refs} ui the view's elements
 * @param {{ toImage: (event: MouseEvent) => number[], objectNear: (point: number[]) => number, isShown: (index: number) => boolean, selected: () => number, reveal: (point: number[]) => void, measure: () => void }} image
 * @param {{ server: Mounting["server"], begin: () => void, result: () => DetectResult | null, threshold: () => number, say: (words: string) => void }} view
 *   `begin` has Python record what happens inside the model, which answers with a message that `open` gets; `say` has screen readers read out
 */
export function createExplain(ui, image, { server, begin, result, threshold, say }) {
  /** @type {ExplainStart | null} */
  let session = null;
  /** What opens the whole image again, while a slice of it is explained. @type {ExplainStart | null} */
  let whole = null;
  /** @type {typeof SECTIONS[number]} */
  let section = "ask";
  let isWaiting = false;
  let latest = 0;
  /** @type {Record<string, HTMLElement>} */
  const parts = { ask: ui.explainAsk, settings: ui.explainSettings, stages: ui.explainStages };
  const drawing = createDrawing(ui.explainOverlay);
  const size = () => ({ width: result()?.width ?? 1, height: result()?.height ?? 1 });
  /** The part of the image that is explained. @returns {Box} */
  const region = () => session?.tile ?? [0, 0, size().width, size().height];

  /** @param {import("./drawing.js").Mark[]} marks */
  function draw(marks) {
    ui.root.classList.add("dv-explained");
    drawing.draw(session?.tile ? [{ box: session.tile, label: "slice", kind: "step" }, ...marks] : marks);
  }

  /** @param {string} name @param {Record<string, any>} sent */
  async function call(name, sent) {
    const recording = session?.recording;
    let answer;
    try {
      answer = await server[name]({ ...sent, recording, threshold: threshold() });
    } catch {
      answer = { error: UNREACHED };
    }
    if (session?.recording === recording) {
      setText(ui.explainError, answer.error ?? "");
      show(ui.explainError, Boolean(answer.error));
    }
    return answer;
  }

  const saliency = createSaliency({
    call,
    drawImage: (url) => {
      ui.root.classList.add("dv-explained");
      drawing.drawImage(url, region());
      // On a phone the image lies above the screen.
      ui.frame.scrollIntoView({ block: "nearest" });
    },
  });
  const answers = createAnswers(ui, {
    draw,
    askWhy: (number) => askWhy({ number }),
    explainSlice: (object) => openSlice(object),
    addSaliency: (parent, why) => session && saliency.add(parent, why, session),
  });
  const settings = createSettings(ui, { call, draw });
  const stages = createStages(ui, { call, region, drawing });

  // ---------------------------------------------------------------- questions

  /** @param {Record<string, any>} question */
  async function ask(question) {
    saliency.stop();
    latest += 1;
    const turn = latest;
    const answer = await call("explain_ask", question);
    if (turn !== latest || !session) return null;
    if (answer.error) answers.clear();
    return answer.error ? null : answer;
  }

  /** @param {{ object: number } | { number: number }} which */
  async function askWhy(which) {
    ui.explainObject.value = "object" in which ? String(which.object) : "";
    const answer = await ask(which);
    if (answer?.why) answers.showWhy(answer.why);
    // An object that only a slice shows.
    else if (answer && "object" in which) answers.showWhyNot(answer.why_not, { box: answer.slice_box }, which.object);
  }

  /** Explains an object in the slice that shows it. @param {number} object */
  async function openSlice(object) {
    const before = session;
    latest += 1;
    const turn = latest;
    const start = await call("explain_slice", { object });
    if (turn !== latest || !session || start.error) return;
    open(start, before);
    askWhy({ object });
  }

  /** @param {Record<string, any>} place @param {Box} box that is drawn for it */
  async function askWhyNot(place, box) {
    ui.explainObject.value = "";
    /** @type {import("./drawing.js").Mark[]} */
    draw([{ box, kind: "asked" }]);
    repeat = () => askWhyNot(place, box);
    const label = ui.explainClass.value ? { label: Number(ui.explainClass.value) } : {};
    const answer = await ask({ ...place, ...label });
    if (answer) answers.showWhyNot(answer.why_not, { box });
  }
  /** Asks about the last place again. @type {() => void} */
  let repeat = () => {};

  const places = createPlaces(ui, image, {
    isOn: () => session !== null && section === "ask",
    size,
    draw,
    drawing,
    describe: (index) => `${result()?.objects[index].name} ${exactScore(result()?.objects[index].score ?? 0)}`,
    say,
    onObject: (index) => askWhy({ object: index }),
    onPlace: askWhyNot,
    onProblem: (text) => {
      setText(ui.explainError, text);
      show(ui.explainError, true);
    },
  });

  // ---------------------------------------------------------------- opening and closing

  /** @param {typeof SECTIONS[number]} name */
  function choose(name) {
    section = name;
    saliency.stop();
    stages.leave();
    settings.leave();
    drawing.clear();
    places.setOn(name === "ask");
    show(ui.explainError, false);
    for (const each of SECTIONS) show(parts[each], each === name);
    [...ui.explainSections.children].forEach((button, i) => button.setAttribute("aria-pressed", String(SECTIONS[i] === name)));
    ui.root.classList.toggle("dv-explained", name !== "ask");
    ui.root.classList.toggle("dv-explain-asking", name === "ask");
    if (name === "settings") settings.show();
    if (name === "stages") stages.show();
  }

  /** @param {ExplainStart} start @param {ExplainStart | null} [back] of the whole image, if a slice of it is explained */
  function open(start, back = null) {
    stopWaiting();
    if (session?.recording === start.recording) return;
    session = start;
    whole = back;
    show(ui.explainSlice, back !== null);
    const found = result();
    const objects = (found?.objects ?? []).map((object, i) => ({ object, i })).filter(({ object, i }) => image.isShown(i) && isWithin(object.box, region()));
    ui.explainObject.replaceChildren(option("", "Choose an object"), ...objects.map(({ object, i }) => option(String(i), `${i + 1}: ${object.name} ${exactScore(object.score)}`)));
    ui.explainClass.replaceChildren(option("", "any class"), ...start.classes.map(([label, name]) => option(String(label), name)));
    ui.explainNotes.replaceChildren(...start.notes.map((line) => make("li", "", line)));
    show(ui.explainNotes, start.notes.length > 0);
    answers.clear();
    places.open();
    settings.open(start);
    stages.open(start);
    setOn(true);
    choose("ask");
    const selected = image.selected();
    if (!back && selected >= 0 && image.isShown(selected)) askWhy({ object: selected });
  }

  /** @param {boolean} on */
  function setOn(on) {
    show(ui.explainPanel, on);
    ui.root.classList.toggle("dv-explaining", on);
    image.measure();
    // The button that was pressed is not there any more.
    if (on) ui.explainClose.focus({ preventScroll: true });
    else if (document.activeElement === document.body || ui.explainPanel.contains(document.activeElement)) ui.explain.focus({ preventScroll: true });
  }

  /** Leaves the mode; gives whether it was on. */
  function leave() {
    if (!session) return false;
    saliency.stop();
    session = null;
    latest += 1;
    drawing.clear();
    places.setOn(false);
    ui.root.classList.remove("dv-explained", "dv-explain-asking");
    setOn(false);
    return true;
  }

  function stopWaiting() {
    isWaiting = false;
    setBusy(ui.explain, false);
  }

  ui.explain.addEventListener("click", () => {
    if (isWaiting) return;
    isWaiting = true;
    setBusy(ui.explain, true);
    begin();
  });
  ui.explainClose.addEventListener("click", leave);
  ui.explainWhole.addEventListener("click", () => whole && open(whole));
  [...ui.explainSections.children].forEach((button, i) => button.addEventListener("click", () => choose(SECTIONS[i])));
  ui.explainObject.addEventListener("change", () => ui.explainObject.value && askWhy({ object: Number(ui.explainObject.value) }));
  ui.explainClass.addEventListener("change", () => repeat());
  return {
    open,
    leave,
    stopWaiting,
    /** @param {import("../components/js/viewport.js").Camera} camera */
    setCamera(camera) {
      places.setZoom(camera.zoom);
      drawing.setCamera(camera);
    },
  };
}

/** @param {string} value @param {string} text */
function option(value, text) {
  return Object.assign(make("option", "", text), { value });
}
