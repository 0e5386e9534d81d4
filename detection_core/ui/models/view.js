// All models as a table, and below it the files that are no models; a click on a heading sorts by it, another click reverses the order.
// The user's own models stay together on top. value: {rows: [{title, yours, ...}], rejected: [{name, reason}]}.

import { make, show } from "../components/js/dom.js";

/** @param {Mounting} mounting */
export function mount({ element, props, watch }) {
  /** @type {[column: string, title: string, kind?: string][]} */
  const COLUMNS = [
    ["title", "Model"],
    ["tasks", "Output"],
    ["box_map", "Box AP", "number"],
    ["mask_map", "Mask AP", "number"],
    ["kp_map", "Keypoint AP", "number"],
    ["gflops", "GFLOPs", "number"],
    ["params", "Params (M)", "number"],
    ["size", "File (MB)", "number"],
    ["state", "Weights"],
  ];
  const head = /** @type {HTMLTableRowElement} */ (element.querySelector("thead tr"));
  const table = /** @type {HTMLTableElement} */ (element.querySelector("table"));
  const rejected = /** @type {HTMLElement} */ (element.querySelector(".rejected"));
  let order = { column: "box_map", direction: -1 };

  /** @param {any} a @param {any} b */
  function compare(a, b) {
    const [x, y] = [a[order.column], b[order.column]];
    if (x == null || y == null) return Number(x == null) - Number(y == null);
    return order.direction * (typeof x === "number" ? x - y : String(x).localeCompare(String(y)));
  }

  /** @param {any} row */
  function titleCell(row) {
    const cell = make("td");
    if (row.recipe) {
      const link = make("a", "", row.title);
      link.href = row.recipe;
      link.target = "_blank";
      link.rel = "noopener";
      cell.append(link);
    } else {
      cell.append(make("b", "", row.title));
    }
    cell.append(make("span", "best-for", row.best_for));
    return cell;
  }

  /** @param {any} row @param {typeof COLUMNS[number]} column */
  function makeCell(row, [column, , kind]) {
    if (column === "title") return titleCell(row);
    const value = row[column];
    const created = make("td", kind, value == null ? "–" : column.endsWith("map") || column === "params" ? value.toFixed(1) : value);
    if (column.endsWith("map") && value != null) created.title = `on ${row.metrics_on}`;
    return created;
  }

  /** @param {string} name @param {any[]} rows */
  function makeGroup(name, rows) {
    const group = make("tbody");
    if (name) {
      const title = make("th", "group");
      title.append(make("span", "", name));
      title.colSpan = COLUMNS.length;
      title.scope = "rowgroup";
      const line = make("tr");
      line.append(title);
      group.append(line);
    }
    for (const row of rows) {
      const line = make("tr");
      line.append(...COLUMNS.map((column) => makeCell(row, column)));
      group.append(line);
    }
    return group;
  }

  function drawRows() {
    const rows = [...props.value.rows].sort(compare);
    const yours = rows.filter(({ yours: isYours }) => isYours);
    const others = rows.filter(({ yours: isYours }) => !isYours);
    const groups = yours.length ? [makeGroup("Your models", yours), makeGroup("Built in and torchvision's", others)] : [makeGroup("", others)];
    for (const body of [...table.tBodies]) body.remove();
    table.append(...groups);
    for (const heading of head.cells) {
      const sorted = heading.dataset.column === order.column;
      if (sorted) heading.setAttribute("aria-sort", order.direction > 0 ? "ascending" : "descending");
      else heading.removeAttribute("aria-sort");
    }
  }

  function drawRejected() {
    const files = props.value.rejected.map((/** @type {{ name: string, reason: string }} */ { name, reason }) => {
      const item = make("li");
      item.append(make("b", "", name), make("span", "", reason));
      return item;
    });
    rejected.querySelector("ul")?.replaceChildren(...files);
    show(rejected, files.length > 0);
  }

  function draw() {
    drawRows();
    drawRejected();
  }

  for (const [column, title, kind] of COLUMNS) {
    const heading = make("th", kind);
    heading.dataset.column = column;
    heading.scope = "col";
    const button = make("button", "", title);
    button.type = "button";
    button.addEventListener("click", () => {
      order = { column, direction: order.column === column ? -order.direction : kind ? -1 : 1 };
      drawRows();
    });
    heading.append(button);
    head.append(heading);
  }
  draw();
  watch("value", draw);
}
