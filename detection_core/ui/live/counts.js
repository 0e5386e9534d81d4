// How many objects of each class are in view, and how many different ones there have been.

import { make, setText, show } from "../components/js/dom.js";

/** @typedef {[name: string, inView: number, total: number | undefined]} Row */

/** @param {Refs} ui elements by name: count (a line of text) and counts (the body of a table) */
export function createCounts(ui) {
  let drawn = "";
  return {
    /**
     * Shows numbers by class name; `total` null when nothing is tracked.
     * @param {Record<string, number>} inView
     * @param {Record<string, number> | null} total
     */
    draw(inView, total) {
      /** @type {Row[]} */
      const rows = Object.keys({ ...inView, ...total }).map((name) => [name, inView[name] ?? 0, total?.[name]]);
      rows.sort((a, b) => b[1] - a[1] || (b[2] ?? 0) - (a[2] ?? 0) || a[0].localeCompare(b[0]));
      const content = JSON.stringify([rows, total !== null]);
      if (content === drawn) return;
      drawn = content;
      const parts = [`${sumOf(inView)} in view`, ...(total ? [`${sumOf(total)} in total`] : [])];
      setText(ui.count, parts.join(" · "));
      ui.counts.replaceChildren(...rows.map(rowOf));
      show(ui.countTable, rows.length > 0);
      ui.countTable.classList.toggle("lv-without-total", !total);
    },
  };
}

/** @param {Row} row */
function rowOf([name, inView, total]) {
  const row = make("tr", inView ? "" : "lv-gone");
  const cell = make("td", "", name);
  cell.title = name;
  row.append(cell, make("td", "lv-cell-number", String(inView)), make("td", "lv-cell-number lv-cell-total", String(total ?? 0)));
  return row;
}

/** @param {Record<string, number>} counts */
function sumOf(counts) {
  return Object.values(counts).reduce((sum, n) => sum + n, 0);
}
