// Polygons, hits and areas; places of labels; classes and numbers in words.

import assert from "node:assert/strict";
import { test } from "node:test";
import { addCounts, inWords, visibleCount } from "../../detection_core/ui/components/js/class_counts.js";
import { layersFor, toggled } from "../../detection_core/ui/components/js/controls.js";
import { counted, formatMs, inkOn, shorten } from "../../detection_core/ui/components/js/dom.js";
import { boxToPath, insideRings, objectArea, objectAt, ringsToPath } from "../../detection_core/ui/components/js/geometry.js";
import { createOccupancy, findSpot, labelSpots, labelText } from "../../detection_core/ui/components/js/labels.js";
import { costInWords } from "../../detection_core/ui/components/js/input_size_choice.js";
import { isSameModel, joinKey, splitKey } from "../../detection_core/ui/components/js/model_keys.js";
import { keyIn, lookUp } from "../../detection_core/ui/components/js/model_options.js";
import { countByClass, explainEmpty, summaryOf } from "../../detection_core/ui/detect/words.js";

const SQUARE = [0, 0, 10, 0, 10, 10, 0, 10];
const HOLE = [4, 4, 6, 4, 6, 6, 4, 6];
const CATEGORIES = { 1: { name: "person", plural: "persons" }, 2: { name: "dog", plural: "dogs" } };

test("paths close their rings", () => {
  assert.equal(ringsToPath([[0, 0, 1, 0, 1, 1]]), "M0 0L1 0 1 1 Z");
  assert.equal(boxToPath([1, 2, 3, 4]), "M1 2H3V4H1Z");
});

test("an area is that of the largest ring, or of the box", () => {
  assert.equal(objectArea({ box: [0, 0, 20, 20], polygons: [HOLE, SQUARE] }), 100);
  assert.equal(objectArea({ box: [0, 0, 20, 20], polygons: null }), 400);
});

test("a hole is outside", () => {
  assert.deepEqual([insideRings([SQUARE, HOLE], 2, 2), insideRings([SQUARE, HOLE], 5, 5), insideRings([SQUARE], 11, 5)], [true, false, false]);
});

test("the smallest object under a point is hit, exact polygons first", () => {
  const large = { box: [0, 0, 100, 100], area: 10000 };
  const small = { box: [0, 0, 10, 10], area: 100 };
  const outlined = { box: [0, 0, 20, 20], polygons: [[12, 12, 20, 12, 20, 20]], area: 5 };
  const at = (objects, x, y, slack = 0, isVisible = () => true) => objectAt(objects, isVisible, x, y, slack);
  assert.equal(at([large, small], 5, 5), 1);
  assert.equal(at([large, small], 5, 5, 0, (i) => i !== 1), 0);
  assert.equal(at([large, outlined], 2, 2), 0);
  assert.equal(at([outlined], 2, 2), 0);
  assert.deepEqual([at([small], 12, 5), at([small], 12, 5, 4)], [-1, 0]);
});

test("labels stay in the frame and off each other", () => {
  const box = [10, 40, 60, 90];
  assert.deepEqual(labelSpots(box, 30, 100, 100)[0], [9, 19]);
  assert.ok(labelSpots([0, 0, 100, 100], 30, 100, 100).every(([x, y]) => x >= 0 && x <= 70 && y >= 0 && y <= 80));
  const taken = createOccupancy(100, 100);
  const label = { texts: ["person 0.90", "1"], widths: [80, 20] };
  const spots = Array.from({ length: 12 }, () => findSpot(label, box, taken, 100, 100));
  assert.equal(new Set(spots.filter(Boolean).map(({ transform }) => transform)).size, spots.filter(Boolean).length);
  assert.equal(spots.at(-1), undefined);
});

test("a label without room is a number", () => {
  const taken = createOccupancy(100, 100);
  taken.claim(60, 0, 40, 100);
  assert.equal(findSpot({ texts: ["person 0.90", "1"], widths: [80, 20] }, [10, 40, 60, 90], taken, 100, 100)?.text, "1");
});

test("a place is taken once", () => {
  const taken = createOccupancy(40, 40);
  assert.deepEqual([taken.claim(0, 0, 20, 20), taken.claim(10, 10, 20, 20), taken.claim(20, 20, 20, 20)], [true, false, true]);
});

test("labels name the class and how sure the model is", () => {
  assert.equal(labelText({ name: "person", score: 0.876 }), "person 0.88");
  assert.equal(shorten("a".repeat(40)).length, 28);
});

test("ink contrasts with its ground", () => {
  assert.deepEqual([inkOn("#ffffff"), inkOn("#000000"), inkOn("#ffcc00"), inkOn("#003399")], ["#000", "#fff", "#000", "#fff"]);
});

test("times and numbers for people", () => {
  assert.deepEqual([formatMs(12.4), formatMs(1234), formatMs(12345)], ["12 ms", "1.2 s", "12 s"]);
  assert.deepEqual([counted(1, "frame"), counted(1200, "frame")], ["1 frame", "1,200 frames"]);
});

test("layers are there for what a result has", () => {
  const layers = ["boxes", "masks", "contours", "skeletons", "labels"].map((name) => ({ name, title: name }));
  assert.deepEqual(layersFor(layers, { masks: false, keypoints: true }), ["boxes", "skeletons", "labels"]);
  assert.deepEqual(layersFor(layers, { masks: true, keypoints: false }), ["boxes", "masks", "contours", "labels"]);
});

test("toggling takes out what is in", () => {
  assert.deepEqual([toggled([1, 2], 2), toggled([1], 2)], [[1], [1, 2]]);
});

test("counts in words, most frequent first", () => {
  const image = { result: { objects: [{ class_id: 2, score: 0.9 }, { class_id: 1, score: 0.8 }, { class_id: 1, score: 0.7 }, { class_id: 1, score: 0.1 }] } };
  assert.equal(visibleCount(image, 0.7), 3);
  assert.equal(inWords(addCounts(new Map(), image, 3), CATEGORIES), "2 persons, 1 dog");
  assert.equal(inWords(new Map(), CATEGORIES), "nothing");
  assert.equal(inWords(new Map([[1, 3], [2, 1], [3, 1]]), { ...CATEGORIES, 3: { name: "cat", plural: "cats" } }, 1), "3 persons, 2 more kinds");
});

test("a result in words, with classes that have no name", () => {
  const objects = [{ class_id: 1 }, { class_id: 1 }, { class_id: 7 }];
  assert.equal(summaryOf(countByClass(objects, () => true), { categories: CATEGORIES }), "2 persons, 1 class 7");
  assert.equal(summaryOf(countByClass(objects, () => false), { categories: CATEGORIES }), "Nothing found");
});

test("an empty image says what the best was", () => {
  const best = { name: "dog", score: 0.4567 };
  assert.equal(explainEmpty([], [], 0.5).button, undefined);
  assert.equal(explainEmpty([best], [], 0.5).showAll, true);
  assert.deepEqual(explainEmpty([best], [best], 0.5), { text: "Nothing above 0.50. The best was dog 0.46.", button: "Lower the threshold to 0.45", lower: 0.45 });
});

test("keys name a model in a variant", () => {
  const whole = { inputSize: null, slices: null };
  assert.deepEqual([splitKey("ssd@fast"), splitKey("ssd")], [{ name: "ssd", precision: "fast", ...whole }, { name: "ssd", precision: "exact", ...whole }]);
  assert.deepEqual(splitKey("fcos@stock@480px@slices640"), { name: "fcos", precision: "stock", inputSize: 480, slices: 640 });
  assert.deepEqual([splitKey("fcos@0480px").name, splitKey("").name], ["fcos@0480px", ""]);
  assert.equal(joinKey(splitKey("fcos@stock@480px@slices640")), "fcos@stock@480px@slices640");
  assert.deepEqual([isSameModel("ssd", "ssd@fast"), isSameModel("fcos@480px", "fcos@640px"), isSameModel("ssd", "fcos"), isSameModel(null, "ssd")], [true, true, false, false]);
});

test("a model that has not the precision is taken in its first one", () => {
  const models = [{ key: "ssd", states: { exact: "on disk" } }, { key: "fcos", states: { exact: "on disk", fast: "in memory" } }];
  const fast = { precision: "fast", inputSize: null, slices: null };
  const names = ["ssd", "fcos", "gone"].map((name) => keyIn({ name, ...fast }, models));
  assert.deepEqual(names, ["ssd", "fcos@fast", "gone"]);
  assert.deepEqual([lookUp("fcos@fast", models).state, lookUp("gone", models).model], ["in memory", undefined]);
});

test("a model of one size is taken at that", () => {
  const models = [{ key: "ssd", states: { exact: "on disk" }, one_size: "SSDs have one." }, { key: "fcos", states: { exact: "on disk" }, one_size: "" }];
  const wanted = { precision: "exact", inputSize: 480, slices: null };
  assert.deepEqual([keyIn({ name: "ssd", ...wanted }, models), keyIn({ name: "fcos", ...wanted }, models)], ["ssd", "fcos@480px"]);
  assert.equal(lookUp("fcos@480px", models).inputSize, 480);
});

test("what a size costs is measured, or estimated from the nearest size in the same precision", () => {
  const seconds = { fcos: 1.1, "fcos@fast@320px": 0.0612, "fcos@1333px": 2.9, "fcos@480px@slices256": 1 };
  const model = { trained_side: 800, seconds, fixed_shares: { exact: 0.25, fast: 0, stock: 0.1 } };
  const costs = ["fcos", "fcos@480px", "fcos@1200px", "fcos@fast@640px", "fcos@stock", "fcos@slices640", "fcos@slices256"].map((key) => costInWords(key, model));
  assert.deepEqual(costs, [
    "about 1.1 s an image here",
    "about 0.57 s an image here, estimated from 1.1 s at 800 px",
    "about 2.4 s an image here, estimated from 2.9 s at 1333 px",
    "about 0.24 s an image here, estimated from 61 ms at 320 px",
    "",
    "",
    "about 1.9 s an image here, estimated from 1 s at 480 px",
  ]);
  assert.equal(costInWords("fcos@1333px", { ...model, seconds: { fcos: 12 } }), "about 28 s an image here, estimated from 12 s at 800 px");
});
