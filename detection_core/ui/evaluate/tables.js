// Tables that are sorted by a click on a head: of all models, and of one model's classes.

import { formatMs, make, makeButton } from "../components/js/dom.js";
import { f1Of, precisionOf, recallOf } from "./curves.js";
import { figure, letterOf } from "./state.js";

/** @typedef {{ key: string, title: string, hint?: string }} Column */
/** @typedef {{ key: string, down: boolean }} Sort */
/** @typedef {{ text: string, small?: string, node?: Node }} Cell */
/** @typedef {{ head: Cell, cells: Cell[], values: (number | string | null)[] }} Row `values` are what is sorted by, the head's first */

const SUMMARY = ["AP", "AP50", "AP75", "APS", "APM", "APL", "AR"];
const AT_THRESHOLD = ["precision", "recall", "f1"];
const RECALLS = ["AR1", "AR10", "AR", "AR50", "AR75", "ARS", "ARM", "ARL"];
/** @type {Record<string, Column>} */
const COLUMNS = Object.fromEntries(
  [
    ["AP", "AP", "Average precision, mean over IoU 0.50 to 0.95"],
    ["AP50", "AP50", "At IoU 0.50"],
    ["AP75", "AP75", "At IoU 0.75"],
    ["APS", "S", "Small objects: less than 32² pixels"],
    ["APM", "M", "Medium objects"],
    ["APL", "L", "Large objects: more than 96² pixels"],
    ["AR", "AR", "Average recall with up to 100 detections an image"],
    ["precision", "Precision", "At the threshold"],
    ["recall", "Recall", "At the threshold"],
    ["f1", "F1", "At the threshold"],
    ["AR1", "AR1", "With one detection an image and class"],
    ["AR10", "AR10", "With up to ten detections an image and class"],
    ["AR50", "AR50", "At a keypoint similarity of 0.50"],
    ["AR75", "AR75", "At a keypoint similarity of 0.75"],
    ["ARS", "AR small", "Small objects: less than 32² pixels"],
    ["ARM", "AR medium", "Medium objects"],
    ["ARL", "AR large", "Large objects: more than 96² pixels"],
  ].map(([key, title, hint]) => [key, { key, title, hint }]),
);

/**
 * Writes a table; `onSort` gets the key of the head that was clicked.
 * @param {HTMLTableElement} table
 * @param {Column[]} columns the first is that of the rows' heads
 * @param {Row[]} rows
 * @param {Sort} sort
 * @param {(key: string) => void} onSort
 */
export function writeTable(table, columns, rows, sort, onSort) {
  const focused = /** @type {HTMLElement | null} */ (table.contains(document.activeElement) ? document.activeElement : null)?.dataset.key;
  const head = make("tr");
  columns.forEach(({ key, title, hint }, i) => {
    const cell = make("th", i ? "ev-number" : "");
    cell.scope = "col";
    if (hint) cell.title = hint;
    if (sort.key === key) cell.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
    const button = makeButton("", title, () => onSort(key));
    button.dataset.key = key;
    cell.append(button);
    head.append(cell);
  });
  const place = columns.findIndex(({ key }) => key === sort.key);
  const order = place < 0 ? rows : [...rows].sort((a, b) => compare(a.values[place], b.values[place], sort.down));
  const body = make("tbody");
  for (const { head: name, cells } of order) {
    const row = make("tr");
    const first = make("th", "ev-row-head");
    first.scope = "row";
    fill(first, name);
    row.append(first, ...cells.map((cell) => fill(make("td", "ev-number"), cell)));
    body.append(row);
  }
  const top = make("thead");
  top.append(head);
  table.replaceChildren(...[table.caption, top, body].filter((part) => part !== null));
  if (focused) /** @type {HTMLElement | null} */ (table.querySelector(`[data-key="${focused}"]`))?.focus();
}

/** What is not known comes last, either way. @param {number | string | null} a @param {number | string | null} b @param {boolean} down */
function compare(a, b, down) {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const order = typeof a === "string" || typeof b === "string" ? String(a).localeCompare(String(b), undefined, { numeric: true }) : a - b;
  return down ? -order : order;
}

/** @param {HTMLElement} node @param {Cell} cell */
function fill(node, { text, small, node: inner }) {
  node.append(inner ?? text);
  if (small) node.append(make("small", "", small));
  return node;
}

/** Clicking a head again turns the order round. @param {Sort} sort @param {string} key @returns {Sort} */
const sortedBy = (sort, key) => ({ key, down: sort.key === key ? !sort.down : key !== "name" });

/** The tables of all models and of the shown one's classes. @param {Refs} ui @param {import("./state.js").EvaluateState} state */
export function drawTables(ui, state) {
  writeSummary(ui.summary, state, (key) => {
    state.summarySort = sortedBy(state.summarySort, key);
    drawTables(ui, state);
  });
  writeRecalls(ui.recalls, state, (key) => {
    state.recallSort = sortedBy(state.recallSort, key);
    drawTables(ui, state);
  });
  drawClasses(ui, state);
}

/** The table of the shown model's classes, in which the last columns depend on the thresholds. @param {Refs} ui @param {import("./state.js").EvaluateState} state */
export function drawClasses(ui, state) {
  writeClasses(ui.classes, state, (key) => {
    state.sort = sortedBy(state.sort, key);
    drawClasses(ui, state);
  });
}

/** @param {HTMLTableElement} table @param {import("./state.js").EvaluateState} state @param {(key: string) => void} onSort */
function writeSummary(table, state, onSort) {
  const { models } = state;
  const known = SUMMARY.filter((key) => models.some(({ summary }) => key in summary));
  const columns = [{ key: "name", title: "Model" }, ...known.map((key) => COLUMNS[key])];
  columns.push({ key: "ms", title: "Time", hint: "Median time of an image on this server, without its first one" });
  columns.push({ key: "memory", title: "Memory", hint: "Weights and one image" }, { key: "file", title: "File", hint: "Size of the weights file" });
  const rows = models.map((model, place) => {
    const { seconds, memory, file_size } = model.cost;
    return {
      head: { text: "", node: modelName(model.title, place) },
      values: [model.title, ...known.map((key) => model.summary[key] ?? null), seconds, memory, file_size],
      cells: [
        ...known.map((key) => ({ text: figure(model.summary[key]), small: interval(model.intervals[key]) })),
        { text: seconds === null ? "–" : formatMs(1000 * seconds) },
        { text: memory === null ? "–" : `${Math.round(memory / 2 ** 20)} MB` },
        { text: file_size === null ? "–" : `${file_size.toFixed(1)} MB` },
      ],
    };
  });
  writeTable(table, columns, rows, state.summarySort, onSort);
}

/** Recall by the number of detections and by object size. @param {HTMLTableElement} table @param {import("./state.js").EvaluateState} state @param {(key: string) => void} onSort */
function writeRecalls(table, state, onSort) {
  const { models } = state;
  const known = RECALLS.filter((key) => models.some(({ summary }) => key in summary));
  const columns = [{ key: "name", title: "Model" }, ...known.map((key) => COLUMNS[key])];
  const rows = models.map(({ title, summary, intervals }, place) => ({
    head: { text: "", node: modelName(title, place) },
    values: [title, ...known.map((key) => summary[key] ?? null)],
    cells: known.map((key) => ({ text: figure(summary[key]), small: interval(intervals[key]) })),
  }));
  writeTable(table, columns, rows, state.recallSort, onSort);
}

/** @param {HTMLTableElement} table @param {import("./state.js").EvaluateState} state @param {(key: string) => void} onSort */
function writeClasses(table, state, onSort) {
  const model = state.models[state.shown];
  const categories = state.result?.categories ?? [];
  const known = SUMMARY.filter((key) => key in model.summary);
  const columns = [{ key: "name", title: "Class" }, { key: "objects", title: "Objects" }, ...[...known, ...AT_THRESHOLD].map((key) => COLUMNS[key])];
  const thresholdOf = state.thresholdOf(state.shown);
  const rows = model.classes.map((row) => {
    const point = state.curves[state.shown].at(row.label, thresholdOf(row.label));
    const atThreshold = [precisionOf(point), recallOf(point), f1Of(point)];
    return {
      head: { text: categories[row.label] },
      values: [categories[row.label], row.objects, ...known.map((key) => row[key]), ...atThreshold],
      cells: [
        { text: row.objects.toLocaleString("en") },
        ...known.map((key) => ({ text: figure(row[key]), small: key === "AP" ? interval(row.interval) : "" })),
        ...atThreshold.map((value) => ({ text: figure(value) })),
      ],
    };
  });
  writeTable(table, columns, rows, state.sort, onSort);
}

/** Objects of a single image are resampled to what they were, which says nothing. @param {number[] | null | undefined} bounds */
export function interval(bounds) {
  const [low, high] = (bounds ?? []).map((value) => figure(value));
  return low === high ? "" : `${low} – ${high}`;
}

/** A model's letter in its color, and its title. @param {string} title @param {number} place */
export function modelName(title, place) {
  const name = make("span", "ev-model-name");
  name.append(make("span", `ev-letter ev-model-${place}`, letterOf(place)), make("span", "", title));
  return name;
}
