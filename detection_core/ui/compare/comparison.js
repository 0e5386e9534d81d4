// The comparison of several models' results under the visitor's settings; pairs are compared when somebody asks, and then remembered.

import { agreedObjects, compareObjects } from "./matching.js";
import { countedObjects } from "./selection.js";
import { counted } from "../components/js/dom.js";

/** @param models {id, objects, threshold} of each model that has a result */
export function createComparison(models, settings) {
  const objectsOf = new Map(models.map(({ id, objects }) => [id, objects]));
  const counted = new Map(models.map((model) => [model.id, countedObjects(model, settings)]));
  const countedOf = (id) => counted.get(id).map((i) => objectsOf.get(id)[i]);
  const pairs = new Map();
  const groups = new Map();

  /** As compareObjects has it, but with the models' own indices. */
  function of(idA, idB) {
    if (!pairs.has(idA)) pairs.set(idA, new Map());
    if (!pairs.get(idA).has(idB)) pairs.get(idA).set(idB, compareCounted(idA, idB));
    return pairs.get(idA).get(idB);
  }

  function compareCounted(idA, idB) {
    const [a, b] = [counted.get(idA), counted.get(idB)];
    const { matched, other, onlyA, onlyB } = compareObjects(countedOf(idA), countedOf(idB), settings.iou);
    const inPlace = ({ i, j, iou }) => ({ i: a[i], j: b[j], iou });
    return { matched: matched.map(inPlace), other: other.map(inPlace), onlyA: onlyA.map((i) => a[i]), onlyB: onlyB.map((j) => b[j]) };
  }

  /** What stands for an object in every model: Maps from model id to the index there, and to the IoU with the object. */
  function partners([anchorId, anchorIndex]) {
    const group = new Map([[anchorId, anchorIndex]]);
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

  /** As agreedObjects has it; members are places in `models` and among the objects that count. */
  function agreed(votes) {
    if (!groups.has(votes)) groups.set(votes, agreedObjects(models.map(({ id }) => countedOf(id)), votes, settings.iou));
    return groups.get(votes);
  }

  return { counted, of, partners, agreed, isCounted: ([id, index]) => counted.get(id)?.includes(index) ?? false };
}
