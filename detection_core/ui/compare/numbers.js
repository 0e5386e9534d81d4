// A comparison in numbers: how far two models agree, every pair of their objects as a row, and what each model costs.

import { formatScore, setText, show } from "../components/js/dom.js";
import { setBusy } from "../components/js/feedback.js";
import { fillCosts } from "./costs.js";
import { pairRows } from "./derived.js";
import { createPairTable, formatDifference } from "./pair_table.js";
import { KINDS, agreementOf, createKindChips } from "./pairs.js";
import { createScatter } from "./scatter.js";
import { missingText, plainCount } from "./words.js";

/**
 * @param {Refs} ui
 * @param {import("./state.js").CompareState} state
 * @param {{ onHover: (ref: Ref | null) => void, onSelect: (ref: Ref, again: boolean) => void, onToggleKind: (kind: Kind) => void }} handlers
 */
export function createNumbers(ui, state, { onHover, onSelect, onToggleKind }) {
  const kindChips = createKindChips(ui.kinds, onToggleKind);
  const pairTable = createPairTable(ui.pairTable, { onHover, onSelect });
  const scatter = createScatter(ui.scatter);
  let plotted = "";

  function drawPair() {
    const found = state.pairComparison();
    const pair = state.pairModels();
    const missing = pair.length < 2 ? "Choose a second model to compare." : missingText(pair);
    setText(ui.nothing, missing || (found && KINDS.every((kind) => !found[kind].length) ? "Neither model shows an object." : ""));
    show(ui.nothing, ui.nothing.textContent !== "");
    for (const part of [ui.scroller, ui.kinds]) show(part, Boolean(found));
    show(ui.tablePair, pair.length === 2);
    const [a, b] = pair;
    setText(ui.differenceName, b ? `Mean score ${b.letter} − ${a.letter}` : "Mean score");
    if (found) drawFound(found, /** @type {CompareResult} */ (a), /** @type {CompareResult} */ (b));
    else [ui.agreement, ui.meanIou, ui.meanDifference].forEach((node) => setText(node, "–"));
  }

  /** @param {PairComparison} found @param {CompareResult} a @param {CompareResult} b */
  function drawFound(found, a, b) {
    const letters = [a.letter, b.letter];
    kindChips.update({ matched: found.matched.length, onlyA: found.onlyA.length, onlyB: found.onlyB.length, other: found.other.length }, state.kinds, letters);
    const { agreement, iou, difference } = agreementOf(found, (i) => a.objects[i].score, (j) => b.objects[j].score);
    setText(ui.agreement, agreement === null ? "–" : `${Math.round(100 * agreement)}%`);
    setText(ui.meanIou, iou === null ? "–" : formatScore(iou));
    setText(ui.meanDifference, difference === null ? "–" : formatDifference(difference));
    pairTable.setRows(pairRows(found, a, b).filter(({ kind }) => state.kinds.has(kind)), letters);
    show(ui.scroller, ui.pairTable.tBodies[0].rows.length > 0);
  }

  function drawCosts() {
    const { models, points } = state;
    fillCosts(ui.costs, models, models.map((model) => state.comparison.counted.get(model.id)?.length ?? null));
    const measured = points.flatMap(({ latency_ms, box_ap, ...point }) => (latency_ms === null || box_ap === null ? [] : { latency_ms, box_ap, ...point }));
    show(ui.scatterFigure, measured.length > 0);
    ui.scatter.setAttribute("aria-label", `Latency against box AP of ${plainCount(measured.length, "model", "models")}`);
    const text = JSON.stringify([measured, models.map(({ id }) => id)]);
    if (text === plotted) return;
    plotted = text;
    scatter.setPoints(measured.map((point) => ({ ...point, letter: point.compared ? state.modelOf(point.id)?.letter ?? "" : "" })));
  }

  /** The status over the image may be out of sight of the button. @param {ViewStatus | null} status */
  function showMeasuring(status) {
    const busy = ui.measure.classList.contains("dv-busy") && status !== null;
    setBusy(ui.measure, busy);
    setText(ui.measure, busy && status.total ? `Measuring: ${Math.round((100 * (status.done ?? 0)) / status.total)}%` : "Measure on this image");
  }

  function emphasize() {
    const { group, chosen } = state.emphasized();
    const isIn = (/** @type {Map<string, number>} */ members, /** @type {PairRow} */ { refs }) => refs.some(([id, index]) => members.get(id) === index);
    pairTable.setActive((row) => isIn(group, row), (row) => isIn(chosen, row));
  }

  return { drawPair, drawCosts, showMeasuring, emphasize };
}
