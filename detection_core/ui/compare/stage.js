// The views of a comparison: the models side by side, two of them under a swipe, their differences, or what all agree on.

import { make, setText, show } from "../components/js/dom.js";
import { consensusObjects, differenceObjects } from "./derived.js";
import { FRAME_KEYS, calloutFor, differenceText, factsOf, missingText, plainCount, summaryOf } from "./words.js";

/**
 * @param {Refs} ui
 * @param {import("./state.js").CompareState} state
 * @param {ReturnType<typeof import("./arrangement.js").createArrangement>} arrangement
 * @param {string[]} layers names of all layers
 */
export function createStage(ui, state, arrangement, layers) {
  const { single } = arrangement;
  const lineColors = ["a", "b"].map((name) => getComputedStyle(ui.root).getPropertyValue(`--only-${name}`).trim());
  const swipe = createSwipe(single, () => state.pairModels()[0].title);
  const drawers = { side: drawSide, swipe: drawSwipe, difference: drawDifference, consensus: drawConsensus };

  function draw() {
    const mode = state.modeShown();
    const wasSingle = !ui.single.hasAttribute("hidden");
    show(ui.panes, mode === "side");
    show(ui.single, mode !== "side");
    show(ui.stageHead, mode !== "side");
    ui.stageHead.dataset.mode = mode;
    show(ui.stagePair, state.settings.mode === "swipe" || state.settings.mode === "difference");
    show(ui.votesRow, mode === "consensus");
    show(ui.legend, mode === "difference");
    single.ui.root.dataset.mode = mode;
    swipe.show(mode === "swipe");
    show(single.ui.head, false);
    single.setCallout("");
    drawers[mode]();
    if (wasSingle !== (mode !== "side")) arrangement.bringCamerasTogether();
  }

  function drawSide() {
    for (const model of state.models) {
      const pane = arrangement.paneOf(model.id);
      setText(pane.ui.facts, factsOf(model, state));
      pane.setCallout(calloutFor(model, state));
      pane.ui.image.alt = model.objects ? `${model.title}: ${summaryOf(model, state.countedOf(model))}` : `${model.title}: no result yet`;
      drawSheet(pane, 0, state.countedOf(model));
    }
  }

  /**
   * @param {import("./panes.js").Pane} pane
   * @param {number} place
   * @param {Iterable<number>} shown
   */
  function drawSheet(pane, place, shown, drawn = layers.filter((layer) => state.settings[layer])) {
    pane.sheets[place].setShown(shown);
    pane.sheets[place].draw(state.settings, drawn);
    pane.layLabelsSoon();
  }

  function drawSwipe() {
    const pair = state.pairModels();
    pair.forEach((model, place) => {
      arrangement.fill(single, place, model);
      drawSheet(single, place, state.countedOf(model));
    });
    single.ui.image.alt = pair.filter(({ objects }) => objects).map((model) => `${model.title}: ${summaryOf(model, state.countedOf(model))}`).join("; ");
    single.ui.frame.setAttribute("aria-label", `${pair.map(({ title }) => title).join(" and ")}; ${FRAME_KEYS}`);
    single.setCallout(missingText(pair));
  }

  function drawDifference() {
    const [a, b] = state.pairModels();
    const found = state.pairComparison();
    setText(ui.legendA, `only ${a.letter}`);
    setText(ui.legendB, `only ${b.letter}`);
    single.setCallout(missingText([a, b]));
    if (!found) return drawDerived([], "");
    const objects = differenceObjects(found, /** @type {CompareResult} */ (a), /** @type {CompareResult} */ (b), state.kinds, lineColors);
    drawDerived(objects, differenceText(found, a, b));
  }

  function drawConsensus() {
    const results = state.withResults();
    const found = state.comparison.agreed(state.votesNeeded());
    setText(ui.votesText, `of ${plainCount(results.length, "model agrees", "models agree")} on ${plainCount(found.length)}`);
    if (results.length < 2) single.setCallout("Two results at least are needed to agree.");
    else if (!found.length) single.setCallout("There is no object on which so many models agree.");
    const objects = consensusObjects(found, results, state.comparison.counted);
    drawDerived(objects, `${plainCount(found.length)} on which at least ${state.votesNeeded()} of ${results.length} models agree`);
  }

  /** @param {Compared[]} objects @param {string} description */
  function drawDerived(objects, description) {
    arrangement.fill(single, 0, { objects, edges: [], keypoint_names: [] });
    arrangement.fill(single, 1, null);
    drawSheet(single, 0, objects.keys(), state.settings.labels ? ["boxes", "labels"] : ["boxes"]);
    single.ui.image.alt = description;
    single.ui.frame.setAttribute("aria-label", `Image; ${FRAME_KEYS}`);
  }

  return { draw };
}

/**
 * The handle over a pane that uncovers the one model or the other; a range, so that keys move it, too.
 * @param {import("./panes.js").Pane} pane
 * @param {() => string} titleOfFirst
 */
function createSwipe(pane, titleOfFirst) {
  const line = make("div", "cv-swipe-line");
  const input = /** @type {HTMLInputElement} */ (make("input", "cv-swipe"));
  Object.assign(input, { type: "range", min: 0, max: 100, step: 0.5, value: 50 });
  input.setAttribute("aria-label", "Uncover the first or the second model");
  pane.ui.body.append(line, input);
  input.addEventListener("input", () => {
    pane.setSplit(Number(input.value) / 100);
    input.setAttribute("aria-valuetext", `${Math.round(Number(input.value))}% ${titleOfFirst()}`);
  });
  return {
    /** @param {boolean} visible */
    show(visible) {
      show(line, visible);
      show(input, visible);
      pane.setSplit(visible ? Number(input.value) / 100 : null);
    },
  };
}
