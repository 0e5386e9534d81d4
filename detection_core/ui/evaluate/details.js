// What goes wrong in one model: the kinds of its errors by object size, and whether its scores mean what they say.

import { make, setAttribute, setText, show } from "../components/js/dom.js";
import { calibrationOf } from "./calibration.js";
import { createLineChart, drawHistogram, histogramTop, responsive } from "./charts.js";
import { figure } from "./state.js";

const COARSE = 10;
const FINE = 20;
/** @type {Record<string, string>} */
const KINDS = {
  place: "Right class, wrong place",
  class: "Right place, wrong class",
  duplicate: "Found twice",
  background: "Nothing is there",
  both: "Wrong place and class",
  missed: "Missed",
};

/** @param {Refs} ui @param {import("./state.js").EvaluateState} state */
export function createDetails(ui, state) {
  const chart = createLineChart(ui.calibrationChart, { title: "", xLabel: "Mean score", yLabel: "Precision", lines: [], diagonal: true });
  /** @type {{ right: number[], wrong: number[], title: string }} */
  let spread = { right: [], wrong: [], title: "" };
  const redrawHistogram = responsive(ui.histogram, (width) => drawHistogram(ui.histogram, spread.title, spread.right, spread.wrong, width));

  function drawErrors() {
    const { errors } = state.models[state.shown];
    const sizes = Object.keys(errors);
    if (!sizes.includes(state.size)) state.size = "all";
    ui.sizes.replaceChildren(...sizes.map(sizeButton));
    const { ap, kinds } = errors[state.size];
    const most = Math.max(0.05, ...Object.values(kinds).map(([, gain]) => gain));
    ui.errorRows.replaceChildren(
      ...Object.entries(kinds).map(([kind, [count, gain]]) => {
        const row = make("tr");
        const head = make("th", "ev-row-head", KINDS[kind] ?? kind);
        head.scope = "row";
        const cell = make("td");
        const bar = make("div", "ev-gain");
        const fill = make("span", "ev-gain-bar");
        fill.style.setProperty("--share", String(gain / most));
        bar.append(fill, make("span", "", `+${gain.toFixed(3)}`));
        cell.append(bar);
        row.append(head, make("td", "ev-number", count.toLocaleString("en")), cell);
        return row;
      }),
    );
    setText(ui.errorWords, `AP50 is ${figure(ap)}. Each bar is what it would gain if all errors of that kind were corrected and nothing else, at an IoU of 0.5 and down to the lowest score (after TIDE, Bolya et al. 2020).`);
  }

  /** @param {string} size */
  function sizeButton(size) {
    const button = make("button", "", size === "all" ? "All sizes" : size[0].toUpperCase() + size.slice(1));
    button.type = "button";
    button.dataset.size = size;
    setAttribute(button, "aria-pressed", size === state.size);
    return button;
  }

  ui.sizes.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    const { size } = /** @type {HTMLElement} */ (event.target).dataset;
    if (!size) return;
    state.size = size;
    drawErrors();
    ui.sizes.querySelector(`[data-size="${size}"]`)?.focus();
  });

  function drawCalibration() {
    const lines = state.models.map(({ title, detections }, place) => {
      const { meanScore, precision } = calibrationOf(detections, COARSE);
      return { name: title, place, x: meanScore, y: precision };
    });
    chart.set({ title: "Precision of detections by their mean score", xLabel: "Mean score", yLabel: "Precision", lines, diagonal: true });
    const { title, detections } = state.models[state.shown];
    const coarse = calibrationOf(detections, COARSE);
    const { right, wrong } = calibrationOf(detections, FINE);
    spread = { right, wrong, title: `Scores of right and wrong detections of ${title}` };
    redrawHistogram();
    show(ui.histogramCut, right.some((count, i) => count + wrong[i] > histogramTop(right, wrong)));
    setText(ui.calibrationWords, `Calibration error of ${title}: ${figure(coarse.error)}. On the diagonal, a score is the probability of being right.`);
    ui.calibrationRows.replaceChildren(
      ...coarse.right.map((count, bin) => {
        const row = make("tr");
        const head = make("th", "ev-row-head", `${(bin / COARSE).toFixed(1)} – ${((bin + 1) / COARSE).toFixed(1)}`);
        head.scope = "row";
        const texts = [count.toLocaleString("en"), coarse.wrong[bin].toLocaleString("en"), figure(coarse.precision[bin]), figure(coarse.meanScore[bin])];
        row.append(head, ...texts.map((text) => make("td", "ev-number", text)));
        return row;
      }),
    );
  }

  return {
    draw() {
      drawErrors();
      drawCalibration();
    },
  };
}
