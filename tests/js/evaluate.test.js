// The figures of an evaluation at thresholds, compared with those that Python computes: tests/ui/evaluate/test_payload.py writes the file.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { calibrationOf } from "../../detection_core/ui/evaluate/calibration.js";
import { histogramTop } from "../../detection_core/ui/evaluate/charts.js";
import { confusionCells, confusionEntries, frequentLabels } from "../../detection_core/ui/evaluate/confusion.js";
import { countAtLeast, createCurves, f1Of, precisionOf, recallOf, thinned } from "../../detection_core/ui/evaluate/curves.js";
import { compareOutcomes, mcnemar, outcomeOf } from "../../detection_core/ui/evaluate/paired.js";
import { evaluationLink } from "../../detection_core/ui/evaluate/link.js";
import { EvaluateState } from "../../detection_core/ui/evaluate/state.js";

const EXPECTED = JSON.parse(readFileSync(new URL("./evaluation.json", import.meta.url), "utf-8"));
const { thresholds, byClass, objects, counts, images, models, paired } = EXPECTED;
const rulesOf = [...thresholds.map((threshold) => () => threshold), (label) => byClass[label]];
const near = (a, b, message) => assert.ok(Math.abs(a - b) < 1e-12, `${message}: ${a} and ${b}`);
const parts = ({ right, wrong, objects: number }) => [right, wrong, number];

for (const [place, { detections, points, together, best, curve, confusion, calibration }] of models.entries()) {
  const curves = createCurves(detections, counts);

  test(`model ${place}: points at thresholds`, () => {
    thresholds.forEach((threshold, i) => assert.deepEqual(points[i].map((_, k) => parts(curves.at(k + 1, threshold))), points[i]));
    thresholds.forEach((threshold, i) => assert.deepEqual(parts(curves.at(null, threshold)), together[i]));
    rulesOf.forEach((rule, i) => assert.deepEqual(parts(curves.sums(rule)), together[i]));
  });

  test(`model ${place}: the curve and its best thresholds`, () => {
    const computed = curves.curve(null);
    for (const name of Object.keys(curve)) {
      assert.equal(computed[name].length, curve[name].length);
      computed[name].forEach((value, i) => near(value, curve[name][i], name));
    }
    assert.deepEqual(best, best.map((_, label) => curves.best(label || null)));
  });

  test(`model ${place}: confusion`, () => {
    const classes = counts.length;
    rulesOf.forEach((rule, i) => {
      const cells = confusionCells(confusionEntries(detections, objects, rule), detections, objects, classes);
      const matrix = confusion[i].map((row, annotated) => row.map((_, detected) => cells.get(annotated * classes + detected)?.length ?? 0));
      assert.deepEqual(matrix, confusion[i]);
    });
  });

  test(`model ${place}: calibration`, () => {
    const computed = calibrationOf(detections, calibration.right.length);
    assert.deepEqual([computed.right, computed.wrong], [calibration.right, calibration.wrong]);
    near(computed.error, calibration.error, "error");
  });
}

test("two models on the same objects", () => {
  const outcomes = models.map(({ detections }, i) => outcomeOf(detections, objects, images, () => [0.31, 0.5][i]));
  const found = compareOutcomes(outcomes[0], outcomes[1], objects);
  assert.deepEqual([found.both.length, found.onlyA, found.onlyB, found.neither.length], [paired.both, paired.onlyA, paired.onlyB, paired.neither]);
  assert.deepEqual([found.wrongA, found.wrongB], paired.wrong);
  assert.deepEqual(found.images.map(({ image, errorsA, errorsB }) => [paired.imageIds[image], errorsA, errorsB]), paired.images);
  near(found.pValue, paired.p, "p");
});

test("McNemar's test is symmetric, exact for few objects and continuous at many", () => {
  assert.equal(mcnemar(0, 0), 1);
  assert.equal(mcnemar(5, 0), 2 / 32);
  assert.equal(mcnemar(3, 9), mcnemar(9, 3));
  assert.ok(Math.abs(mcnemar(460, 540) - mcnemar(460, 541)) < 0.002);
});

test("figures without anything to count are not known", () => {
  const nothing = createCurves({ score: [], label: [], image: [], box: [], partner: [], ignored: [], pairs: [] }, [0, 0]);
  const point = nothing.at(null, 0.5);
  assert.deepEqual([precisionOf(point), recallOf(point), f1Of(point), nothing.best(null)], [null, null, null, null]);
});

test("scores at a threshold count", () => {
  assert.deepEqual([0.95, 0.9, 0.5, 0.1].map((threshold) => countAtLeast([0.9, 0.5, 0.5, 0.2], threshold)), [0, 1, 3, 4]);
});

test("a thinned curve keeps its ends", () => {
  const scores = Array.from({ length: 5000 }, (_, i) => 1 - i / 5000);
  const { scores: kept } = thinned({ scores, precision: scores, recall: scores, f1: scores });
  assert.ok(kept.length <= 302);
  assert.deepEqual([kept[0], kept.at(-1)], [scores[0], scores.at(-1)]);
});

test("classes that occur are in the matrix, the most frequent ones if there are many", () => {
  const entry = { object: 0, detection: 0 };
  const cells = new Map([[1 * 5 + 1, [entry]], [2 * 5 + 4, [entry, entry, entry]], [0 * 5 + 4, [entry]]]);
  assert.deepEqual(frequentLabels(cells, 5, 10), { labels: [1, 2, 4, 0], left: 0 });
  assert.deepEqual(frequentLabels(cells, 5, 2), { labels: [2, 4, 0], left: 1 });
});

test("a link brings back thresholds, IoU and class", () => {
  globalThis.location = { origin: "https://x", pathname: "/" };
  const model = { name: "a", title: "A", threshold: 0.4, linkable: true, detections: models[0].detections };
  const results = { evaluation: "x", models: [model, { ...model, name: "theirs", linkable: false }], categories: ["", "cat", "dog, wild"], objects, images: [], iou_type: "bbox", iou: 0.75 };
  const state = new EvaluateState();
  state.take(results);
  state.label = 2;
  state.setThreshold(0, 0.7);
  const sent = JSON.parse(new URL(evaluationLink(state)).searchParams.get("settings"));
  assert.deepEqual(sent.models, ["a"]);
  const opened = new EvaluateState();
  opened.takeLink(sent);
  assert.equal(opened.order().iou, 0.75);
  // Before there are results, and for other data.
  opened.take({ ...results, evaluation: "other", categories: ["", "dog, wild"] });
  assert.deepEqual([opened.label, opened.thresholds.get("a"), opened.thresholds.get("theirs").all], [1, { all: 0.4, byLabel: new Map([[1, 0.7]]) }, 0.4]);
  opened.setThreshold(0, 0.6);
  opened.take({ ...results, evaluation: "other", categories: ["", "dog, wild"] });
  assert.equal(opened.current(0), 0.6);
});

test("a class's own threshold goes when all get one", () => {
  const state = new EvaluateState();
  const model = { name: "a", title: "A", threshold: 0.4, detections: models[0].detections };
  state.take({ evaluation: "x", models: [model], categories: counts.map(String), objects, images: [], iou_type: "bbox", iou: 0.5 });
  state.label = 2;
  state.setThreshold(0, 0.7);
  assert.deepEqual([state.current(0), state.thresholdOf(0)(1), state.thresholdOf(0)(2)], [0.7, 0.4, 0.7]);
  assert.deepEqual(state.order().thresholds.a, { all: 0.4, classes: { [counts[2]]: 0.7 } });
  state.label = null;
  state.setThreshold(0, 0.2);
  assert.deepEqual([state.current(0), state.thresholdOf(0)(2)], [0.2, 0.2]);
  assert.deepEqual(state.order().thresholds.a, { all: 0.2, classes: {} });
});

test("bars of right detections can be seen beside many wrong ones", () => {
  for (const [right, wrong, top] of [[[1, 2], [3, 0], 4], [[1, 2], [300, 0], 8], [[0, 0], [5, 9], 9], [[0, 0], [0, 0], 1], [[50, 2], [0, 0], 50]]) assert.equal(histogramTop(right, wrong), top);
});
