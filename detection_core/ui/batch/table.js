// The same pictures as a table, sorted by its headings: one row a picture with its counts, or the reason why there is none.

const ROW_STATES = { waiting: "Waiting", uploading: "Uploading …", looking: "Looking …" };

/** @param handlers {onOpen(picture), onSelect(picture, selected)} */
function createBatchTable(table, { onOpen, onSelect }) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells].filter((cell) => cell.dataset.sort);
  const rows = new Map();
  let sorting = { key: "name", ascending: true };
  let last = { pictures: [], threshold: 0, categories: {} };

  const VALUES = {
    name: ({ name }) => name,
    objects: (picture) => (picture.result ? visibleCount(picture, last.threshold) : -1),
    size: ({ result }) => (result ? result.width * result.height : -1),
    time: ({ result }) => result?.ms ?? -1,
  };

  function makeRow(picture) {
    const row = make("tr");
    const tick = makeTick(picture, onSelect);
    const open = makeButton("dv-link bv-row-name", picture.name, () => onOpen(picture));
    open.title = picture.name;
    const cells = Object.fromEntries(["tick", "name", "objects", "words", "size", "time"].map((key) => [key, make("td", `bv-cell-${key}`)]));
    cells.tick.append(tick.label);
    cells.name.append(open);
    row.append(...Object.values(cells));
    return { row, tick, open, cells };
  }

  function update({ row, tick, open, cells }, picture) {
    const { state, result } = picture;
    const visible = visibleCount(picture, last.threshold);
    row.dataset.state = state;
    open.disabled = state !== "done";
    setText(cells.objects, result ? String(visible) : "–");
    setText(cells.words, ROW_STATES[state] ?? (result ? inWords(addCounts(new Map(), picture, visible), last.categories) : picture.error));
    cells.words.title = cells.words.textContent;
    setText(cells.size, result ? `${result.width}×${result.height}` : "–");
    setText(cells.time, result ? formatMs(result.ms) : "–");
    tick.update(picture);
  }

  function compare(a, b) {
    const [x, y] = [VALUES[sorting.key](a), VALUES[sorting.key](b)];
    return (sorting.ascending ? 1 : -1) * (typeof x === "string" ? naturalOrder.compare(x, y) : x - y);
  }

  function draw(pictures, threshold, categories) {
    last = { pictures, threshold, categories };
    for (const picture of rows.keys()) if (!pictures.includes(picture)) rows.delete(picture);
    for (const picture of pictures) {
      if (!rows.has(picture)) rows.set(picture, makeRow(picture));
      update(rows.get(picture), picture);
    }
    const order = [...pictures].sort(compare).map((picture) => rows.get(picture).row);
    // Moving rows that are in their places would take the focus from what is in them.
    if (order.length !== body.rows.length || order.some((row, i) => row !== body.rows[i])) body.replaceChildren(...order);
    for (const heading of headings) {
      setAttribute(heading, "aria-sort", heading.dataset.sort === sorting.key ? (sorting.ascending ? "ascending" : "descending") : "none");
    }
  }

  for (const heading of headings) {
    heading.querySelector("button").addEventListener("click", () => {
      const { sort: key } = heading.dataset;
      // Numbers are most telling from the top, names from their start.
      sorting = { key, ascending: sorting.key === key ? !sorting.ascending : key === "name" };
      draw(last.pictures, last.threshold, last.categories);
    });
  }

  return { draw };
}
