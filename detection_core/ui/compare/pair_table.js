// Every object of two models as a row of a table: sorts by its headers, moves by the arrow keys, lights up together with the images.

import { KINDS } from "./pairs.js";
import { clamp, formatScore, make, setAttribute, setText } from "../components/js/dom.js";

/** A score difference with its sign, and a true minus. @param {number} number */
export function formatDifference(number) {
  return `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(2)}`;
}

/**
 * The table of pairs; rows are {kind, name, scores: [a, b], iou, refs}, with null where a model has no object.
 * @param {HTMLTableElement} table
 * @param {{ onHover: (ref: Ref | null) => void, onSelect: (ref: Ref, again: boolean) => void }} handlers; `onHover` called with the first ref of the row under the pointer, or null; `onSelect` called with the first ref of the row that was clicked or reached by keys; `again` when it may be the selected one
 */
export function createPairTable(table, { onHover, onSelect }) {
  const body = table.tBodies[0];
  const headers = [.../** @type {HTMLTableSectionElement} */ (table.tHead).rows[0].cells];
  /** @type {(PairRow & { node: HTMLTableRowElement })[]} */
  let rows = [];
  let sorting = { key: "kind", ascending: true };

  /** @type {Record<string, (row: PairRow) => number | string>} */
  const SORT_VALUES = {
    kind: ({ kind }) => KINDS.indexOf(kind),
    name: ({ name }) => name,
    a: ({ scores }) => scores[0] ?? -1,
    b: ({ scores }) => scores[1] ?? -1,
    iou: ({ iou }) => iou ?? -1,
    difference: ({ scores: [a, b] }) => (a === null || b === null ? -2 : b - a),
  };

  /** @param {PairRow[]} newRows @param {string[]} letters */
  function setRows(newRows, letters) {
    rows = newRows.map((row) => ({ ...row, node: buildRow(row, letters) }));
    setHeading("a", `Score ${letters[0]}`);
    setHeading("b", `Score ${letters[1]}`);
    setHeading("difference", `${letters[1]} − ${letters[0]}`);
    sort();
  }

  /** @param {string} key @param {string} text */
  function setHeading(key, text) {
    const button = table.querySelector(`[data-sort=${key}] button`);
    if (button) setText(button, text);
  }

  /** @param {PairRow} row @param {string[]} letters */
  function buildRow({ kind, name, scores: [a, b], iou }, letters) {
    const node = make("tr");
    const what = make("td", "cv-cell-kind");
    const word = { matched: "agreed", onlyA: `only ${letters[0]}`, onlyB: `only ${letters[1]}`, other: "other class" }[kind];
    what.append(make("span", `cv-key cv-${kind}`), make("span", "cv-kind-word", word));
    const title = make("td", "cv-cell-name", name);
    title.title = name;
    /**
     * @param {number | null} value
     * @param {(value: number) => string} format
     */
    const number = (value, format, place = "") => make("td", `cv-number ${place}`, value === null ? "–" : format(value));
    const difference = a === null || b === null ? null : b - a;
    node.append(what, title, number(a, formatScore), number(b, formatScore), number(iou, formatScore, "cv-cell-iou"));
    node.append(number(difference, formatDifference, "cv-cell-difference"));
    return node;
  }

  function sort() {
    const valueOf = SORT_VALUES[sorting.key];
    const sign = sorting.ascending ? 1 : -1;
    rows = [...rows].sort((p, q) => (valueOf(p) < valueOf(q) ? -sign : valueOf(p) > valueOf(q) ? sign : 0));
    body.replaceChildren(...rows.map(({ node }) => node));
    for (const header of headers) {
      setAttribute(header, "aria-sort", header.dataset.sort === sorting.key ? (sorting.ascending ? "ascending" : "descending") : "none");
    }
    refreshTabStop();
  }

  /** Exactly one row is in the tab order: the selected one, else the first. */
  function refreshTabStop() {
    const stop = rows.find(({ node }) => node.getAttribute("aria-selected") === "true") ?? rows[0];
    for (const row of rows) row.node.tabIndex = row === stop ? 0 : -1;
  }

  /** @param {(row: PairRow) => boolean} isActive @param {(row: PairRow) => boolean} isSelected */
  function setActive(isActive, isSelected) {
    for (const row of rows) {
      row.node.classList.toggle("dv-active", isActive(row));
      setAttribute(row.node, "aria-selected", isSelected(row));
    }
    refreshTabStop();
  }

  const rowOf = (/** @type {any} */ event) => rows.find(({ node }) => node === event.target.closest("tr"));

  /** @param {any} event */
  function moveBy(event) {
    const at = rows.findIndex((row) => row === rowOf(event));
    /** @type {Record<string, number>} */
    const goals = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 };
    const goal = goals[event.key];
    const activates = event.key === "Enter" || event.key === " ";
    if (at < 0 || (goal === undefined && !activates)) return;
    event.preventDefault();
    const row = rows[clamp(goal ?? at, 0, rows.length - 1)];
    onSelect(row.refs[0], activates);
    row.node.focus();
  }

  body.addEventListener("click", (event) => {
    const row = rowOf(event);
    if (row) onSelect(row.refs[0], true);
  });
  body.addEventListener("pointerover", (event) => onHover(rowOf(event)?.refs[0] ?? null));
  body.addEventListener("pointerleave", () => onHover(null));
  body.addEventListener("keydown", moveBy);
  for (const header of headers) {
    const { sort: key = "" } = header.dataset;
    header.querySelector("button")?.addEventListener("click", () => {
      // Numbers are sorted from the highest; kinds and names from their start.
      const startsAscending = key === "kind" || key === "name";
      sorting = { key, ascending: sorting.key === key ? !sorting.ascending : startsAscending };
      sort();
    });
  }

  return { setRows, setActive };
}
