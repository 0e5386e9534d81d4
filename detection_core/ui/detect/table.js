// The table of objects: sorts by its headers, moves by the arrow keys, and lights up together with the image.

import { clamp, formatScore, make, setAttribute, setText, show } from "../components/js/dom.js";

/** @typedef {Drawn & { visibleKeypoints?: number | null }} Row */

/**
 * @param {HTMLElement} scroller
 * @param {{ onHover: (index: number) => void, onSelect: (index: number, again: boolean) => void }} handlers
 *   `onHover` is called with the index of the row under the pointer, or -1, `onSelect` with that of the row that was clicked or reached by
 *   keys; `again` when it may be the selected one
 */
export function createTable(scroller, { onHover, onSelect }) {
  const table = /** @type {HTMLTableElement} */ (scroller.querySelector("table"));
  const head = /** @type {HTMLTableSectionElement} */ (table.tHead);
  const body = table.tBodies[0];
  const headers = [...head.rows[0].cells];
  /** @type {HTMLTableRowElement[]} */
  let rows = [];
  /** @type {Row[]} */
  let objects = [];
  let keypointThreshold = NaN;
  let sorting = { key: "rank", ascending: true };

  /** @type {Record<string, (index: number) => number | string>} */
  const SORT_VALUES = {
    rank: (i) => i,
    class: (i) => objects[i].name,
    score: (i) => objects[i].score,
    size: (i) => (objects[i].box[2] - objects[i].box[0]) * (objects[i].box[3] - objects[i].box[1]),
    keypoints: (i) => objects[i].visibleKeypoints ?? -1,
  };

  /** @param {Row[]} newObjects @param {boolean} hasKeypoints */
  function setObjects(newObjects, hasKeypoints) {
    objects = newObjects;
    rows = objects.map(buildRow);
    keypointThreshold = NaN;
    table.classList.toggle("dv-with-keypoints", hasKeypoints);
    sort();
    scroller.scrollTop = 0;
  }

  /** @param {Row} object @param {number} i */
  function buildRow(object, i) {
    const row = make("tr");
    row.tabIndex = -1;
    row.dataset.index = String(i);
    row.setAttribute("aria-selected", "false");
    show(row, false);
    const swatch = make("span", "dv-swatch");
    swatch.style.background = object.color;
    const name = make("td", "dv-cell-class");
    const mark = make("span", "dv-slice-mark");
    mark.title = "Found in slices only";
    mark.role = "img";
    mark.ariaLabel = mark.title;
    show(mark, false);
    name.append(swatch, mark, Object.assign(make("span", "dv-cell-name", object.name), { translate: false }));
    name.title = object.name;
    const score = make("td", "dv-cell-score");
    const bar = make("span", "dv-bar");
    bar.style.setProperty("--score", String(object.score));
    score.append(bar, make("span", "", formatScore(object.score)));
    const [x1, y1, x2, y2] = object.box;
    const size = `${Math.round(x2 - x1)}×${Math.round(y2 - y1)}`;
    row.append(make("td", "dv-cell-rank", String(i + 1)), name, score, make("td", "dv-cell-size", size), make("td", "dv-cell-keypoints"));
    return row;
  }

  function sort() {
    const valueOf = SORT_VALUES[sorting.key];
    const sign = sorting.ascending ? 1 : -1;
    const compare = (/** @type {number} */ a, /** @type {number} */ b) => (valueOf(a) < valueOf(b) ? -sign : valueOf(a) > valueOf(b) ? sign : a - b);
    body.replaceChildren(...rows.map((_, i) => i).sort(compare).map((i) => rows[i]));
    for (const header of headers) {
      const order = header.dataset.sort === sorting.key ? (sorting.ascending ? "ascending" : "descending") : "none";
      header.setAttribute("aria-sort", order);
    }
  }

  /** @param {string} key */
  function sortBy(key) {
    // Numbers are sorted from the highest; ranks and names from their start.
    const startsAscending = key === "rank" || key === "class";
    sorting = { key, ascending: sorting.key === key ? !sorting.ascending : startsAscending };
    sort();
  }

  /** @param {number} index */
  function setSelected(index) {
    rows.forEach((row, i) => setAttribute(row, "aria-selected", i === index));
    if (index >= 0) reveal(rows[index]);
    refreshTabStop();
  }

  /** Scrolls the table only, never the page. @param {HTMLElement} row */
  function reveal(row) {
    const top = row.offsetTop - head.offsetHeight;
    const bottom = row.offsetTop + row.offsetHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (bottom > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = bottom - scroller.clientHeight;
  }

  /** Exactly one row is in the tab order: the selected one, else the first. */
  function refreshTabStop() {
    const shown = shownRows();
    const stop = shown.find((row) => row.getAttribute("aria-selected") === "true") ?? shown[0];
    for (const row of rows) {
      const tabIndex = row === stop ? 0 : -1;
      if (row.tabIndex !== tabIndex) row.tabIndex = tabIndex;
    }
  }

  function shownRows() {
    return [...body.rows].filter((row) => !row.hasAttribute("hidden"));
  }

  /** @param {any} event */
  function moveBy(event) {
    const shown = shownRows();
    const at = shown.indexOf(event.target.closest("tr"));
    /** @type {Record<string, number>} */
    const goals = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 };
    const goal = goals[event.key];
    const activates = event.key === "Enter" || event.key === " ";
    if (at < 0 || (goal === undefined && !activates)) return;
    event.preventDefault();
    const row = shown[clamp(goal ?? at, 0, shown.length - 1)];
    onSelect(Number(row.dataset.index), activates);
    row.focus({ preventScroll: true });
  }

  const indexOf = (/** @type {any} */ event) => Number(event.target.closest("tr")?.dataset.index ?? -1);
  body.addEventListener("click", (event) => onSelect(indexOf(event), true));
  body.addEventListener("pointerover", (event) => onHover(indexOf(event)));
  body.addEventListener("pointerleave", () => onHover(-1));
  body.addEventListener("keydown", moveBy);
  for (const header of headers) header.querySelector("button")?.addEventListener("click", () => sortBy(header.dataset.sort ?? ""));

  return {
    setObjects,
    setSelected,
    refreshTabStop,
    setVisible: (/** @type {number} */ index, /** @type {boolean} */ visible) => show(rows[index], visible),
    /** Marks an object that only slices found. */
    setMarked: (/** @type {number} */ index, /** @type {boolean} */ marked) => show(rows[index].cells[1].children[1], marked),
    setActive: (/** @type {number[]} */ indices) => rows.forEach((row, i) => row.classList.toggle("dv-active", indices.includes(i))),
    /**
     * Shows how many keypoints of each object are above a threshold; gives whether that is another threshold than before.
     * @param {number} threshold
     */
    setKeypointThreshold(threshold) {
      if (threshold === keypointThreshold) return false;
      keypointThreshold = threshold;
      objects.forEach((object, i) => {
        const count = object.keypoints?.filter(([, , logit]) => logit > threshold).length ?? null;
        object.visibleKeypoints = count;
        setText(rows[i].cells[4], count === null ? "–" : String(count));
      });
      return true;
    },
  };
}
