// The thresholds: a slider for each model, what precision, recall and F1 it means, and the two curves on which it is a point.

import { createSlider } from "../components/js/controls.js";
import { formatScore, make, makeButton, setText } from "../components/js/dom.js";
import { createLineChart } from "./charts.js";
import { f1Of, precisionOf, recallOf, thinned } from "./curves.js";
import { figure, letterOf } from "./state.js";
import { modelName } from "./tables.js";

const COLUMNS = ["Precision", "Recall", "F1", "Wrong", "Missed"];

/** @typedef {import("./state.js").EvaluateState} State */
/** @typedef {{ slider: ReturnType<typeof createSlider>, cells: HTMLElement[], best: HTMLButtonElement }} Part */

/**
 * @param {Refs} ui
 * @param {State} state
 * @param {{ onChange: () => void, onUse: (place: number) => void }} handlers
 */
export function createThresholds(ui, state, { onChange, onUse }) {
  const recallChart = createLineChart(ui.recallChart, { title: "", xLabel: "Recall", yLabel: "Precision", lines: [] });
  const f1Chart = createLineChart(ui.f1Chart, { title: "", xLabel: "Threshold", yLabel: "F1", lines: [] });
  /** @type {Part[]} */
  let parts = [];
  /** Points for drawing, which no threshold changes. @type {{ label: number | null, curves: import("./curves.js").Curve[], best: (number | null)[] }} */
  let drawn = { label: null, curves: [], best: [] };

  /** Anew for other results. */
  function build() {
    const categories = state.result?.categories ?? [];
    const options = state.objectCounts.flatMap((count, label) => (label && count ? [[String(label), `${categories[label]} (${count.toLocaleString("en")})`]] : []));
    ui.classChoice.replaceChildren(...[["", "All classes"], ...options].map(([value, text]) => Object.assign(make("option", "", text), { value })));
    if (state.label !== null && !state.objectCounts[state.label]) state.label = null;
    ui.classChoice.value = state.label === null ? "" : String(state.label);
    parts = state.models.map((_, place) => buildPart(place));
    drawn = { label: null, curves: [], best: [] };
    sample();
  }

  /** @param {number} place @returns {Part} */
  function buildPart(place) {
    const { title, floor } = state.models[place];
    const row = make("tr");
    const head = make("th", "ev-row-head");
    head.scope = "row";
    head.append(modelName(title, place));
    const control = make("td", "ev-slider");
    const holder = make("div", "dv-control");
    const input = Object.assign(make("input"), { type: "range", min: String(floor), max: "1", step: "0.01" });
    input.setAttribute("aria-label", `Threshold of model ${letterOf(place)}, ${title}`);
    const output = make("output");
    output.setAttribute("aria-hidden", "true");
    holder.append(input, output);
    control.append(holder);
    const slider = createSlider(holder, formatScore, (value) => {
      state.setThreshold(place, value);
      onChange();
    });
    const cells = COLUMNS.map((column) => {
      const cell = make("td", "ev-number");
      // Where the table is too narrow for its head.
      cell.dataset.column = column;
      return cell;
    });
    const actions = make("td", "ev-actions");
    const best = makeButton("dv-link", "", () => {
      const value = drawn.best[place];
      if (value === null) return;
      state.setThreshold(place, value);
      slider.set(value);
      onChange();
    });
    actions.append(best, makeButton("dv-link", "Use it", () => onUse(place)));
    row.append(head, control, ...cells, actions);
    if (place === 0) ui.pointRows.replaceChildren();
    ui.pointRows.append(row);
    return { slider, cells, best };
  }

  /** The curves of the chosen class. */
  function sample() {
    drawn = {
      label: state.label,
      curves: state.curves.map((curves) => thinned(curves.curve(state.label))),
      best: state.curves.map((curves) => curves.best(state.label)),
    };
  }

  function draw() {
    if (drawn.label !== state.label) sample();
    const points = state.models.map((_, place) => state.point(place));
    parts.forEach(({ slider, cells, best }, place) => {
      const point = points[place];
      slider.set(state.current(place));
      const texts = [figure(precisionOf(point)), figure(recallOf(point)), figure(f1Of(point)), point.wrong.toLocaleString("en"), (point.objects - point.right).toLocaleString("en")];
      texts.forEach((text, i) => setText(cells[i], text));
      const value = drawn.best[place];
      setText(best, value === null ? "No best one" : `Best ${formatScore(value)}`);
      best.disabled = value === null;
    });
    const name = state.label === null ? "all classes" : state.result?.categories[state.label] ?? "";
    const lines = drawn.curves.map((curve, place) => ({ curve, place, name: state.models[place].title, point: points[place], best: drawn.best[place] }));
    recallChart.set({
      title: `Precision by recall of ${name}`,
      xLabel: "Recall",
      yLabel: "Precision",
      lines: lines.map(({ curve, place, name: title, point }) => ({ name: title, place, x: curve.recall, y: curve.precision, mark: pointOf(recallOf(point), precisionOf(point)) })),
    });
    f1Chart.set({
      title: `F1 by threshold of ${name}`,
      xLabel: "Threshold",
      yLabel: "F1",
      lines: lines.map(({ curve, place, name: title, point, best }) => ({
        name: title,
        place,
        x: curve.scores,
        y: curve.f1,
        mark: pointOf(state.current(place), f1Of(point)),
        best: best === null ? null : pointOf(best, f1Of(state.curves[place].at(state.label, best))),
      })),
    });
  }

  ui.classChoice.addEventListener("change", () => {
    state.label = ui.classChoice.value === "" ? null : Number(ui.classChoice.value);
    onChange();
  });
  return { build, draw };
}

/** @param {number | null} x @param {number | null} y @returns {Point | null} */
const pointOf = (x, y) => (x === null || y === null ? null : [x, y]);
