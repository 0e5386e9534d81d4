// What is drawn and listed of several models together: differences of two, what they agree on, and every pair as a row.
// Objects that stand for those of models have `refs`, [model id, index] of each.

import { KINDS } from "./pairs.js";
import { counted, shorten } from "../components/js/dom.js";
import { objectArea } from "../components/js/geometry.js";
import { labelText } from "../components/js/labels.js";

const NEUTRAL = "#e8e8ea";

/** The objects of A and B that there are. */
function refsOf(a, i, b, j) {
  return [...(i === null ? [] : [[a.id, i]]), ...(j === null ? [] : [[b.id, j]])];
}

/** "A person 0.98 · B dog 0.77" */
function tipOf(refs, models) {
  const texts = refs.map(([id, index]) => {
    const { letter, objects } = models.find((model) => model.id === id);
    return `${letter} ${labelText(objects[index])}`;
  });
  return texts.join(" · ");
}

/** Agreed objects are drawn once, where A has them. */
export function differenceObjects({ matched, onlyA, onlyB, other }, a, b, kinds, [blue, orange]) {
  const refs = (i, j) => refsOf(a, i, b, j);
  const derive = (object, color, look, pair, label) => ({ ...object, polygons: null, keypoints: null, color, look, refs: pair, label: label ?? object.label, tip: tipOf(pair, [a, b]) });
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

/** `agreed` as agreedObjects gives it for the counted objects of `results`. */
export function consensusObjects(agreed, results, counted) {
  return agreed.map(({ name, members, box, score }) => {
    const refs = [...members].map(([place, index]) => [results[place].id, counted.get(results[place].id)[index]]);
    const [first] = members.keys();
    const { color } = results[first].objects[refs[0][1]];
    const look = members.size === results.length ? "cv-look-all" : "cv-look-some";
    const label = `${shorten(name)} ${members.size}/${results.length}`;
    return { name, box, score, color, look, refs, area: objectArea({ box }), label, tip: tipOf(refs, results) };
  });
}

export function pairRows({ matched, onlyA, onlyB, other }, a, b) {
  const row = (kind, i, j, iou = null) => {
    const objects = [i === null ? null : a.objects[i], j === null ? null : b.objects[j]];
    const names = [...new Set(objects.filter(Boolean).map(({ name }) => name))];
    return { kind, name: names.join(" / "), scores: objects.map((object) => object?.score ?? null), iou, refs: refsOf(a, i, b, j) };
  };
  return [
    ...matched.map(({ i, j, iou }) => row("matched", i, j, iou)),
    ...onlyA.map((i) => row("onlyA", i, null)),
    ...onlyB.map((j) => row("onlyB", null, j)),
    ...other.map(({ i, j, iou }) => row("other", i, j, iou)),
  ];
}
