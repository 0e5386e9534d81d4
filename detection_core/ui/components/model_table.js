// All models as a table; a click on a heading sorts by it, another click turns the order round. value: {key: state}.
const COLUMNS = [
  ["title", "Model"],
  ["tasks", "Gives"],
  ["box_map", "Box AP", "number"],
  ["mask_map", "Mask AP", "number"],
  ["kp_map", "Joint AP", "number"],
  ["gflops", "GFLOPs", "number"],
  ["params", "Params (M)", "number"],
  ["size", "File (MB)", "number"],
  ["state", "Weights"],
];
const head = element.querySelector("thead tr");
const body = element.querySelector("tbody");
let order = { column: "box_map", direction: -1 };

function compare(a, b) {
  const [x, y] = [a[order.column], b[order.column]];
  if (x == null || y == null) return (x == null) - (y == null);
  return order.direction * (typeof x === "number" ? x - y : String(x).localeCompare(String(y)));
}

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

function cell(row, [column, , kind]) {
  if (column === "title") return titleCell(row);
  const value = row[column];
  const created = make("td", kind, value == null ? "–" : column.endsWith("map") ? value.toFixed(1) : value);
  if (column.endsWith("map") && value != null) created.title = `on ${row.metrics_on}`;
  return created;
}

function draw() {
  const rows = props.rows.map((row) => ({ ...row, state: props.value[row.key] })).sort(compare);
  body.replaceChildren(
    ...rows.map((row) => {
      const line = make("tr");
      line.append(...COLUMNS.map((column) => cell(row, column)));
      return line;
    }),
  );
  for (const heading of head.children) {
    const sorted = heading.dataset.column === order.column;
    if (sorted) heading.setAttribute("aria-sort", order.direction > 0 ? "ascending" : "descending");
    else heading.removeAttribute("aria-sort");
  }
}

for (const [column, title, kind] of COLUMNS) {
  const heading = make("th", kind);
  heading.dataset.column = column;
  heading.scope = "col";
  const button = make("button", "", title);
  button.type = "button";
  button.addEventListener("click", () => {
    order = { column, direction: order.column === column ? -order.direction : kind ? -1 : 1 };
    draw();
  });
  heading.append(button);
  head.append(heading);
}
draw();
watch("value", draw);
