// What is drawn and listed of several models together: differences of two, what they agree on, and every pair as a row.
// Objects that stand for those of models have `refs`, [model id, index] of each.

import { KINDS } from "./pairs.js";
import { shorten } from "../components/js/dom.js";
import { objectArea } from "../components/js/geometry.js";
import { labelText } from "../components/js/labels.js";

const NEUTRAL = "#e8e8ea";

/**
 * The objects of A and B that there are.
 * @param {CompareModel} a
 * @param {number | null} i
 * @param {CompareModel} b
 * @param {number | null} j
 * @returns {Ref[]}
 */
function refsOf(a, i, b, j) {
  /** @type {Ref[]} */
  const refs = [];
  if (i !== null) refs.push([a.id, i]);
  if (j !== null) refs.push([b.id, j]);
  return refs;
}

/** "A person 0.98 · B dog 0.77" @param {Ref[]} refs @param {CompareResult[]} models */
function tipOf(refs, models) {
  const texts = refs.map(([id, index]) => {
    const model = models.find((other) => other.id === id);
    return model ? `${model.letter} ${labelText(model.objects[index])}` : "";
  });
  return texts.join(" · ");
}

/**
 * Agreed objects are drawn once, where A has them.
 * @param {PairComparison} found
 * @param {CompareResult} a
 * @param {CompareResult} b
 * @param {Set<Kind>} kinds
 * @param {string[]} colors
 * @returns {Compared[]}
 */
export function differenceObjects({ matched, onlyA, onlyB, other }, a, b, kinds, [blue, orange]) {
  const refs = (/** @type {number | null} */ i, /** @type {number | null} */ j) => refsOf(a, i, b, j);
  /**
   * @param {Compared} object
   * @param {string} color
   * @param {string} look
   * @param {Ref[]} pair
   */
  const derive = (object, color, look, pair, label = object.label) => ({ ...object, polygons: null, keypoints: null, color, look, refs: pair, label, tip: tipOf(pair, [a, b]) });
  /** @type {Record<Kind, Compared[]>} */
  const groups = {
    matched: matched.map(({ i, j }) => derive(a.objects[i], NEUTRAL, "cv-look-matched", refs(i, j))),
    onlyA: onlyA.map((i) => derive(a.objects[i], blue, "cv-look-a", refs(i, null))),
    onlyB: onlyB.map((j) => derive(b.objects[j], orange, "cv-look-b", refs(null, j))),
    other: other.flatMap(({ i, j }) => [
      derive(a.objects[i], blue, "cv-look-a", refs(i, j), `${a.letter}: ${a.objects[i].label}`),
      derive(b.objects[j], orange, "cv-look-b", refs(i, j), `${b.letter}: ${b.objects[j].label}`),
    ]),
  };
  return KINDS.filter((kind) => kinds.has(kind)).flatMap((kind) => groups[kind]);
}

/**
 * `agreed` as agreedObjects gives it for the counted objects of `results`.
 * @param {Agreed[]} agreed
 * @param {CompareResult[]} results
 * @param {Map<string, number[]>} counted
 * @returns {Compared[]}
 */
export function consensusObjects(agreed, results, counted) {
  return agreed.map(({ name, members, box, score }) => {
    /** @type {Ref[]} */
    const refs = [...members].map(([place, index]) => [results[place].id, counted.get(results[place].id)?.[index] ?? 0]);
    const [first] = members.keys();
    const { color } = results[first].objects[refs[0][1]];
    const look = members.size === results.length ? "cv-look-all" : "cv-look-some";
    const label = `${shorten(name)} ${members.size}/${results.length}`;
    return { name, box, score, color, look, refs, area: objectArea({ box }), label, tip: tipOf(refs, results) };
  });
}

/** @param {PairComparison} found @param {CompareResult} a @param {CompareResult} b @returns {PairRow[]} */
export function pairRows({ matched, onlyA, onlyB, other }, a, b) {
  const row = (/** @type {Kind} */ kind, /** @type {number | null} */ i, /** @type {number | null} */ j, /** @type {number | null} */ iou = null) => {
    const objects = [i === null ? null : a.objects[i], j === null ? null : b.objects[j]];
    const names = [...new Set(objects.flatMap((object) => object?.name ?? []))];
    return { kind, name: names.join(" / "), scores: objects.map((object) => object?.score ?? null), iou, refs: refsOf(a, i, b, j) };
  };
  return [
    ...matched.map(({ i, j, iou }) => row("matched", i, j, iou)),
    ...onlyA.map((i) => row("onlyA", i, null)),
    ...onlyB.map((j) => row("onlyB", null, j)),
    ...other.map(({ i, j, iou }) => row("other", i, j, iou)),
  ];
}
