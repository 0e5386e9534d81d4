// The same images as a table, sorted by its headings: one row an image with its counts, or the reason why there is none.

import { naturalOrder } from "./files.js";
import { makeTick } from "./gallery.js";
import { addCounts, inWords, visibleCount } from "../components/js/class_counts.js";
import { formatMs, make, makeButton, setAttribute, setText } from "../components/js/dom.js";

/** @type {Record<string, string>} */
const ROW_STATES = { waiting: "Waiting", uploading: "Uploading …", detecting: "Detecting …" };

/** @param {HTMLTableElement} table @param {import("./gallery.js").Handlers} handlers */
export function createBatchTable(table, { onOpen, onSelect }) {
  const body = table.tBodies[0];
  const headings = [.../** @type {HTMLTableSectionElement} */ (table.tHead).rows[0].cells].filter((cell) => cell.dataset.sort);
  /** @type {Map<BatchImage, ReturnType<typeof makeRow>>} */
  const rows = new Map();
  let sorting = { key: "name", ascending: true };
  /** @type {{ images: BatchImage[], threshold: number, categories: Categories }} */
  let last = { images: [], threshold: 0, categories: {} };

  /** @type {Record<string, (image: BatchImage) => any>} */
  const VALUES = {
    name: ({ name }) => name,
    objects: (image) => (image.result ? visibleCount(image, last.threshold) : -1),
    size: ({ result }) => (result ? result.width * result.height : -1),
    time: ({ result }) => result?.ms ?? -1,
  };

  /** @param {BatchImage} image */
  function makeRow(image) {
    const row = make("tr");
    const tick = makeTick(image, onSelect);
    const open = makeButton("dv-link bv-row-name", image.name, () => onOpen(image));
    open.title = image.name;
    const cells = Object.fromEntries(["tick", "name", "objects", "words", "size", "time"].map((key) => [key, make("td", `bv-cell-${key}`)]));
    cells.tick.append(tick.label);
    cells.name.append(open);
    row.append(...Object.values(cells));
    return { row, tick, open, cells };
  }

  /** @param {ReturnType<typeof makeRow>} row @param {BatchImage} image */
  function update({ row, tick, open, cells }, image) {
    const { state, result } = image;
    const visible = visibleCount(image, last.threshold);
    row.dataset.state = state;
    open.disabled = state !== "done";
    setText(cells.objects, result ? String(visible) : "–");
    setText(cells.words, ROW_STATES[state] ?? (result ? inWords(addCounts(new Map(), image, visible), last.categories) : image.error));
    cells.words.title = cells.words.textContent;
    setText(cells.size, result ? `${result.width}×${result.height}` : "–");
    setText(cells.time, result ? formatMs(result.ms) : "–");
    tick.update(image);
  }

  /** @param {BatchImage} a @param {BatchImage} b */
  function compare(a, b) {
    const [x, y] = [VALUES[sorting.key](a), VALUES[sorting.key](b)];
    return (sorting.ascending ? 1 : -1) * (typeof x === "string" ? naturalOrder.compare(x, y) : x - y);
  }

  /** @param {BatchImage[]} images @param {number} threshold @param {Categories} categories */
  function draw(images, threshold, categories) {
    last = { images, threshold, categories };
    for (const image of rows.keys()) if (!images.includes(image)) rows.delete(image);
    for (const image of images) {
      const row = rows.get(image) ?? makeRow(image);
      rows.set(image, row);
      update(row, image);
    }
    const order = [...images].sort(compare).flatMap((image) => rows.get(image)?.row ?? []);
    // Moving rows that are in their places would take the focus from what is in them.
    if (order.length !== body.rows.length || order.some((row, i) => row !== body.rows[i])) body.replaceChildren(...order);
    for (const heading of headings) {
      setAttribute(heading, "aria-sort", heading.dataset.sort === sorting.key ? (sorting.ascending ? "ascending" : "descending") : "none");
    }
  }

  for (const heading of headings) {
    heading.querySelector("button")?.addEventListener("click", () => {
      const { sort: key = "" } = heading.dataset;
      // Numbers are sorted from the highest, names from their start.
      sorting = { key, ascending: sorting.key === key ? !sorting.ascending : key === "name" };
      draw(last.images, last.threshold, last.categories);
    });
  }

  return { draw };
}
