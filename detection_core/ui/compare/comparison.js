// The comparison of several models' results under the visitor's settings; pairs are compared on first use and kept.

import { agreedObjects, compareObjects } from "./matching.js";
import { countedObjects } from "./selection.js";

/**
 * @param {CompareResult[]} models those that have a result
 * @param {CompareSettings} settings
 */
export function createComparison(models, settings) {
  const objectsOf = new Map(models.map(({ id, objects }) => [id, objects]));
  const counted = new Map(models.map((model) => [model.id, countedObjects(model, settings)]));
  const placesOf = (/** @type {string} */ id) => counted.get(id) ?? [];
  const countedOf = (/** @type {string} */ id) => placesOf(id).flatMap((i) => objectsOf.get(id)?.[i] ?? []);
  /** @type {Map<string, PairComparison>} */
  const pairs = new Map();
  /** @type {Map<number, Agreed[]>} */
  const groups = new Map();

  /** As compareObjects has it, but with the models' own indices. @param {string} idA @param {string} idB */
  function of(idA, idB) {
    const key = JSON.stringify([idA, idB]);
    const found = pairs.get(key) ?? compareCounted(idA, idB);
    pairs.set(key, found);
    return found;
  }

  /** @param {string} idA @param {string} idB @returns {PairComparison} */
  function compareCounted(idA, idB) {
    const [a, b] = [placesOf(idA), placesOf(idB)];
    const { matched, other, onlyA, onlyB } = compareObjects(countedOf(idA), countedOf(idB), settings.iou);
    const inPlace = (/** @type {Match} */ { i, j, iou }) => ({ i: a[i], j: b[j], iou });
    return { matched: matched.map(inPlace), other: other.map(inPlace), onlyA: onlyA.map((i) => a[i]), onlyB: onlyB.map((j) => b[j]) };
  }

  /**
   * What stands for an object in every model: Maps from model id to the index there, and to the IoU with the object.
   * @param {Ref} anchor
   */
  function partners([anchorId, anchorIndex]) {
    const group = new Map([[anchorId, anchorIndex]]);
    /** @type {Map<string, number>} */
    const overlaps = new Map();
    for (const { id } of models) {
      if (id === anchorId) continue;
      const { matched, other } = of(anchorId, id);
      const pair = [...matched, ...other].find(({ i }) => i === anchorIndex);
      if (!pair) continue;
      group.set(id, pair.j);
      overlaps.set(id, pair.iou);
    }
    return { group, overlaps };
  }

  /** As agreedObjects has it; members are places in `models` and among the objects that count. @param {number} votes */
  function agreed(votes) {
    const found = groups.get(votes) ?? agreedObjects(models.map(({ id }) => countedOf(id)), votes, settings.iou);
    groups.set(votes, found);
    return found;
  }

  return { counted, of, partners, agreed, isCounted: (/** @type {Ref} */ [id, index]) => counted.get(id)?.includes(index) ?? false };
}
