// Which objects count under the visitor's rule, how models compare then, and what is drawn and said of that.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createComparison } from "../../detection_core/ui/compare/comparison.js";
import { consensusObjects, differenceObjects, pairRows } from "../../detection_core/ui/compare/derived.js";
import { comparisonLink } from "../../detection_core/ui/compare/links.js";
import { KINDS, agreementOf } from "../../detection_core/ui/compare/pairs.js";
import { countedObjects, thresholdOf } from "../../detection_core/ui/compare/selection.js";
import { CompareState } from "../../detection_core/ui/compare/state.js";
import { calloutFor, factsOf, missingText, spokenSummary, summaryOf } from "../../detection_core/ui/compare/words.js";

const CATEGORIES = { 1: { name: "person", plural: "persons" }, 2: { name: "dog", plural: "dogs" } };
const SETTINGS = { rule: "default", threshold: 0.5, thresholds: {}, top: 1, iou: 0.5, mode: "side", pair: null, votes: 2, hidden_classes: [], boxes: true, labels: true };

const object = (class_id, score, box) => ({ class_id, score, box, color: "#ff0000", polygons: null, keypoints: null });
const message = (id, objects, threshold = 0.5) => ({ id, title: `Model ${id}`, linkable: true, status: null, error: null, threshold, floor: 0.05, categories: CATEGORIES, edges: [], keypoint_names: [], objects, color_by: "class", cost: null });

/** Two models that agree on a person, call another object differently, and of which the first has one more. */
function pairState(settings = {}) {
  const state = new CompareState({ ...SETTINGS, ...settings });
  state.source = { image: { url: "a.png" }, width: 100, height: 100, linkName: "example:a" };
  state.models = state.read([
    message("a", [object(1, 0.9, [0, 0, 10, 10]), object(2, 0.8, [20, 0, 30, 10]), object(1, 0.6, [50, 50, 60, 60]), object(1, 0.2, [70, 0, 80, 10])]),
    message("b", [object(1, 0.7, [0, 0, 10, 10]), object(1, 0.6, [20, 0, 30, 10])]),
  ]);
  state.compare();
  return state;
}

test("each rule has its threshold", () => {
  const model = { id: "a", threshold: 0.4, objects: null };
  const of = (rule, thresholds = {}) => thresholdOf(model, { ...SETTINGS, rule, thresholds });
  assert.deepEqual([of("default"), of("same"), of("top"), of("own"), of("own", { a: 0.1 })], [0.4, 0.5, null, 0.4, 0.1]);
});

test("objects count from their threshold on, or the best ones", () => {
  const [a] = pairState().models;
  assert.deepEqual(countedObjects(a, SETTINGS), [0, 1, 2]);
  assert.deepEqual(countedObjects(a, { ...SETTINGS, rule: "top" }), [0]);
  assert.deepEqual(countedObjects(a, { ...SETTINGS, hidden_classes: ["person"] }), [1]);
  assert.deepEqual(countedObjects({ ...a, objects: null }, SETTINGS), []);
});

test("a score at the threshold counts, although the slider steps in binary fractions", () => {
  const model = { id: "a", threshold: 0.1 + 0.2, objects: [{ name: "person", score: 0.3 }] };
  assert.deepEqual(countedObjects(model, SETTINGS), [0]);
});

test("a comparison speaks of places among all objects", () => {
  const { comparison } = pairState({ hidden_classes: [] });
  const found = comparison.of("a", "b");
  assert.deepEqual([found.matched[0].j, found.other[0].i, found.onlyA, found.onlyB], [0, 1, [2], []]);
  assert.equal(comparison.of("a", "b"), found);
  const { group, overlaps } = comparison.partners(["b", 1]);
  assert.deepEqual([[...group], overlaps.get("a")], [[["b", 1], ["a", 1]], 1]);
  assert.deepEqual([comparison.isCounted(["a", 2]), comparison.isCounted(["a", 3]), comparison.isCounted(["c", 0])], [true, false, false]);
});

test("without a choice the first two models with results are the pair", () => {
  const state = pairState();
  assert.deepEqual(state.pairIds(), ["a", "b"]);
  state.models = [{ ...state.models[0], id: "x", objects: null }, ...state.models];
  assert.deepEqual(state.pairIds(), ["a", "b"]);
  state.settings.pair = ["b", "x"];
  assert.deepEqual([state.pairIds(), state.pairComparison()], [["b", "x"], null]);
  state.settings.pair = ["b", "gone"];
  assert.deepEqual(state.pairIds(), ["a", "b"]);
});

test("one model alone is seen side by side", () => {
  const state = pairState({ mode: "swipe" });
  assert.equal(state.modeShown(), "swipe");
  state.models = state.models.slice(0, 1);
  assert.deepEqual([state.modeShown(), state.pairIds()], ["side", []]);
});

test("not more votes are needed than there are results", () => {
  assert.equal(pairState({ votes: 4 }).votesNeeded(), 2);
});

test("what is hidden is no longer selected", () => {
  const state = pairState();
  state.selected = ["a", 1];
  state.settings = { ...state.settings, hidden_classes: ["dog"] };
  state.compare();
  assert.equal(state.selected, null);
});

test("objects that are known already stay the same", () => {
  const state = pairState();
  const again = state.read([message("a", state.models[0].objects.map(({ class_id, score, box }) => object(class_id, score, box)))]);
  assert.equal(again[0].objects, state.models[0].objects);
});

test("differences are drawn in the colors of their models", () => {
  const state = pairState();
  const [a, b] = state.models;
  const all = differenceObjects(state.pairComparison(), a, b, new Set(KINDS), ["blue", "orange"]);
  assert.deepEqual(all.map(({ look }) => look), ["cv-look-matched", "cv-look-a", "cv-look-a", "cv-look-b"]);
  assert.deepEqual(all.map(({ color }) => color), ["#e8e8ea", "blue", "blue", "orange"]);
  assert.equal(all[0].tip, "A person 0.90 · B person 0.70");
  assert.deepEqual(differenceObjects(state.pairComparison(), a, b, new Set(["onlyA"]), ["blue", "orange"]).length, 1);
});

test("an agreed object stands for those of its models", () => {
  const state = pairState();
  const [found, ...rest] = consensusObjects(state.comparison.agreed(2), state.withResults(), state.comparison.counted);
  assert.deepEqual([rest, found.refs, found.label, found.look], [[], [["a", 0], ["b", 0]], "person 2/2", "cv-look-all"]);
});

test("every pair is a row", () => {
  const state = pairState();
  const rows = pairRows(state.pairComparison(), ...state.models);
  assert.deepEqual(rows.map(({ kind, name, scores }) => [kind, name, scores]), [["matched", "person", [0.9, 0.7]], ["onlyA", "person", [0.6, null]], ["other", "dog / person", [0.8, 0.6]]]);
});

test("agreement is the share of places with the same object", () => {
  const state = pairState();
  const [a, b] = state.models;
  const { agreement, iou, difference } = agreementOf(state.pairComparison(), (i) => a.objects[i].score, (j) => b.objects[j].score);
  assert.deepEqual([agreement, iou, difference.toFixed(2)], [1 / 3, 1, "-0.20"]);
  assert.deepEqual(agreementOf({ matched: [], other: [], onlyA: [], onlyB: [] }, Number, Number), { agreement: null, iou: null, difference: null });
});

test("a comparison in words", () => {
  const state = pairState();
  const [a] = state.models;
  assert.equal(summaryOf(a, state.countedOf(a)), "2 persons, 1 dog");
  assert.equal(factsOf(a, state), "3 objects · from 0.50");
  assert.equal(spokenSummary(state), "Model a: 3 objects, Model b: 2 objects. 1 agreed, 1 and 0 alone, 1 of other classes.");
  assert.equal(missingText([{ title: "A", objects: null, error: null }]), "A has no result yet.");
});

test("an empty image is explained", () => {
  const state = pairState({ rule: "same", threshold: 0.95 });
  const [a] = state.models;
  assert.equal(calloutFor(a, state), "Nothing from 0.95 on. The best was person 0.90.");
  state.settings = { ...state.settings, hidden_classes: ["person", "dog"] };
  state.compare();
  assert.equal(calloutFor(a, state), "All classes are switched off.");
});

test("a link holds what differs from the defaults", (context) => {
  globalThis.location = { origin: "https://host", pathname: "/app/" };
  context.after(() => delete globalThis.location);
  const state = pairState({ rule: "top", boxes: false, pair: ["b", "a"] });
  const link = comparisonLink("example:a", state.models, state.settings, SETTINGS, ["boxes", "labels"]);
  assert.equal(link, "https://host/app/?tab=compare&image=example:a&models=a,b&rule=top&pair=1,0&off=boxes");
});

test("a comparison of nothing has nothing", () => {
  assert.deepEqual(createComparison([], SETTINGS).agreed(2), []);
});
