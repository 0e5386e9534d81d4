// The confusion matrix as a table of buttons; the stronger the color of a cell, the larger a part of its row it is.

import { make, makeButton, setText } from "../components/js/dom.js";
import { frequentLabels } from "./confusion.js";

const MOST_CLASSES = 20;

/**
 * @param {Refs} ui
 * @param {import("./state.js").EvaluateState} state
 * @param {() => void} onChoose called when another cell has been chosen
 */
export function createMatrix(ui, state, onChoose) {
  /** @type {Map<number, import("./confusion.js").Entry[]>} */
  let cells = new Map();

  function draw() {
    const categories = state.result?.categories ?? [];
    const classes = categories.length;
    cells = state.cells(state.shown);
    const { labels, left } = frequentLabels(cells, classes, MOST_CLASSES);
    const nameOf = (/** @type {number} */ label, /** @type {string} */ nothing) => (label ? categories[label] : nothing);
    const focused = ui.matrix.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.cell : undefined;
    const head = make("tr");
    const corner = make("td", "ev-corner", "annotated ↓ detected →");
    head.append(corner, ...labels.map((label) => headCell("col", nameOf(label, "missed"))));
    const rows = labels.map((annotated) => {
      const row = make("tr");
      row.append(headCell("row", nameOf(annotated, "false positive")));
      const sum = rowSum(annotated, classes);
      for (const detected of labels) {
        const count = cells.get(annotated * classes + detected)?.length ?? 0;
        row.append(cellOf(annotated, detected, count, sum, `${nameOf(annotated, "nothing")} detected as ${nameOf(detected, "nothing")}`));
      }
      return row;
    });
    const [top, body] = [make("thead"), make("tbody")];
    top.append(head);
    body.append(...rows);
    ui.matrix.replaceChildren(top, body);
    if (focused) ui.matrix.querySelector(`[data-cell="${focused}"]`)?.focus();
    const more = left ? ` The ${MOST_CLASSES} most frequent of ${left + MOST_CLASSES} classes.` : "";
    setText(ui.matrixWords, `Rows: what is annotated; columns: what is detected. Choose a cell to see its objects. The stronger its color, the larger its part of the row.${more}`);
  }

  /** @param {number} annotated @param {number} classes */
  function rowSum(annotated, classes) {
    let sum = 0;
    for (let detected = 0; detected < classes; detected++) sum += cells.get(annotated * classes + detected)?.length ?? 0;
    return sum;
  }

  /** @param {number} annotated @param {number} detected @param {number} count @param {number} sum @param {string} words */
  function cellOf(annotated, detected, count, sum, words) {
    const cell = make("td");
    if (!count) return cell;
    const share = count / sum;
    const text = state.asShares ? `${Math.round(100 * share)}%` : count.toLocaleString("en");
    const button = makeButton(annotated === detected ? "ev-cell ev-agrees" : "ev-cell", text, () => choose(annotated, detected));
    button.dataset.cell = `${annotated}-${detected}`;
    button.style.setProperty("--share", share.toFixed(3));
    button.setAttribute("aria-label", `${words}: ${count} of ${sum}`);
    const { cell: chosen } = state;
    button.setAttribute("aria-pressed", String(chosen?.annotated === annotated && chosen.detected === detected));
    cell.append(button);
    return cell;
  }

  /** @param {number} annotated @param {number} detected */
  function choose(annotated, detected) {
    const isSame = state.cell?.annotated === annotated && state.cell.detected === detected;
    state.cell = isSame ? null : { annotated, detected };
    onChoose();
  }

  return {
    draw,
    /** The objects of the chosen cell, those with the highest scores first. */
    entries() {
      const { cell, result } = state;
      if (!cell || !result) return [];
      const { score } = result.models[state.shown].detections;
      const scoreOf = (/** @type {{ detection: number }} */ { detection }) => (detection < 0 ? 0 : score[detection]);
      return [...(cells.get(cell.annotated * result.categories.length + cell.detected) ?? [])].sort((a, b) => scoreOf(b) - scoreOf(a));
    },
    /** What the chosen cell stands for. */
    title() {
      const { cell, result } = state;
      if (!cell || !result) return "";
      const [annotated, detected] = [result.categories[cell.annotated], result.categories[cell.detected]];
      if (!cell.annotated) return `${detected}, false positive`;
      return cell.detected ? (cell.annotated === cell.detected ? `${annotated}, found` : `${annotated} taken for ${detected}`) : `${annotated}, missed`;
    },
  };
}

/** @param {"row" | "col"} scope @param {string} text */
function headCell(scope, text) {
  const cell = make("th");
  cell.scope = scope;
  cell.append(make("span", "", text));
  cell.title = text;
  return cell;
}
