// A comparison in words: what each model found, what two of them share, and why nothing is shown.

import { formatScore, shorten } from "../components/js/dom.js";
import { thresholdOf } from "./selection.js";

/** @typedef {import("./state.js").CompareState} CompareState */

/** What an image with the focus does on keys. */
export const FRAME_KEYS = "left and right choose objects, plus and minus zoom, arrows pan while zoomed";

/** Why objects count that count, by rule. @type {Record<string, string>} */
export const WHY = {
  default: "Scores of different families mean different things: 0.5 from one can be as sure as 0.3 from another. So each model is cut at its default threshold.",
  same: "One threshold for all is fair within a family only: scores of different families mean different things.",
  top: "The same number of boxes from each model, those with its highest scores: fair where scores mean different things, as they do across families.",
  own: "A threshold for each model, because scores of different families mean different things.",
};

/** @param {number} n */
export const plainCount = (n, one = "object", many = "objects") => `${n} ${n === 1 ? one : many}`;

/** "4 persons, 2 dogs", most frequent first. @param {CompareModel} model @param {number[]} counted */
export function summaryOf({ objects, categories }, counted) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const i of counted) if (objects) counts.set(objects[i].class_id, (counts.get(objects[i].class_id) ?? 0) + 1);
  const phrases = [...counts].sort((a, b) => b[1] - a[1]).map(([id, n]) => `${n} ${categories[id]?.[n === 1 ? "name" : "plural"] ?? `class ${id}`}`);
  return phrases.join(", ") || "nothing found";
}

/** @param {CompareState} state */
export function spokenSummary(state) {
  const found = state.withResults().map((model) => `${model.title}: ${plainCount(state.countedOf(model).length)}`);
  if (state.settings.mode === "consensus") return `${found.join(", ")}. ${plainCount(state.comparison.agreed(state.votesNeeded()).length)} agreed on.`;
  const pair = state.pairComparison();
  return pair ? `${found.join(", ")}. ${pair.matched.length} agreed, ${pair.onlyA.length} and ${pair.onlyB.length} alone, ${pair.other.length} of other classes.` : found.join(", ");
}

/** @param {CompareModel} model @param {CompareState} state */
export function factsOf(model, state) {
  if (!model.objects) return "";
  const threshold = thresholdOf(model, state.settings);
  const rule = threshold === null ? "" : ` · from ${formatScore(threshold)}`;
  return `${plainCount(state.countedOf(model).length)}${rule}`;
}

/** Why nothing is to be seen of a model, or "". @param {CompareModel} model @param {CompareState} state */
export function calloutFor(model, state) {
  if (!model.objects) return model.error || model.status ? "" : "No result.";
  if (state.countedOf(model).length) return "";
  const active = model.objects.filter(({ name }) => !state.settings.hidden_classes.includes(name));
  if (!model.objects.length) return "The model found nothing in this image.";
  if (!active.length) return "All classes are switched off.";
  const [best] = active;
  return `Nothing from ${formatScore(thresholdOf(model, state.settings) ?? 0)} on. The best was ${shorten(best.name)} ${formatScore(best.score)}.`;
}

/** Why two models cannot be compared, or "". @param {CompareModel[]} pair */
export function missingText(pair) {
  const missing = pair.find(({ objects }) => !objects);
  if (!missing) return "";
  return missing.error ? `${missing.title} has no result: ${missing.error.text}` : `${missing.title} has no result yet.`;
}

/** @param {PairComparison} found @param {CompareModel} a @param {CompareModel} b */
export function differenceText(found, a, b) {
  return `${found.matched.length} agreed, ${found.onlyA.length} only ${a.title}, ${found.onlyB.length} only ${b.title}, ${found.other.length} of another class`;
}
