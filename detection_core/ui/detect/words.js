// A result in words: how many of each class, and why the image is empty.

import { formatScore } from "../components/js/dom.js";

/** @param {{ categories: Categories }} result @param {number} id */
export const nameOf = ({ categories }, id) => categories[id]?.name ?? `class ${id}`;

/**
 * Numbers of objects by class id, in the order in which the classes first come.
 * @param {ViewObject[]} objects
 * @param {(object: ViewObject, index: number) => boolean} isCounted
 */
export function countByClass(objects, isCounted) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  objects.forEach((object, i) => {
    if (isCounted(object, i)) counts.set(object.class_id, (counts.get(object.class_id) ?? 0) + 1);
  });
  return counts;
}

/**
 * "4 persons, 2 dogs", most frequent first.
 * @param {Map<number, number>} counts by class id
 * @param {{ categories: Categories }} result
 * @param {number} limit of kinds; the rest is counted
 */
export function summaryOf(counts, result, limit = Infinity) {
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  const phrases = sorted.map(([id, n]) => `${n} ${n === 1 ? nameOf(result, id) : result.categories[id]?.plural ?? nameOf(result, id)}`);
  const rest = phrases.length - limit;
  const listed = rest > 1 ? [...phrases.slice(0, limit), `${rest} more kinds`] : phrases;
  return listed.join(", ") || "Nothing found";
}

/**
 * Why there may be nothing to be seen, and the way out: `lower` is the threshold to go down to, `showAll` that classes are switched off.
 * @param {Drawn[]} objects
 * @param {Drawn[]} active those of classes that are switched on
 * @param {number} threshold
 * @returns {{ text: string, button?: string, lower?: number, showAll?: boolean }}
 */
export function explainEmpty(objects, active, threshold) {
  if (!objects.length) return { text: "The model found nothing in this image. Another model may see more." };
  if (!active.length) return { text: "All classes are switched off.", button: "Show all classes", showAll: true };
  const [best] = active;
  const lower = Math.floor(best.score * 100 + 1e-6) / 100;
  return {
    text: `Nothing above ${formatScore(threshold)}. The best was ${best.name} ${formatScore(best.score)}.`,
    button: `Lower the threshold to ${formatScore(lower)}`,
    lower,
  };
}
