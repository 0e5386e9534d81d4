// Which objects are the same: pairs of two results, and groups of several. tests/browser compares with Python on random results.

import assert from "node:assert/strict";
import { test } from "node:test";
import { agreedObjects, agreeingGroups, boxIou, compareObjects, overlappingPairs } from "../../detection_core/ui/compare/matching.js";

const PERSON = { name: "person", box: [0, 0, 10, 10], score: 0.9 };
const ALMOST = { name: "person", box: [0, 0, 10, 8], score: 0.7 };
const DOG = { name: "dog", box: [0, 0, 10, 9], score: 0.8 };
const FAR = { name: "person", box: [50, 50, 60, 60], score: 0.6 };

test("overlap is the shared area over all area", () => {
  assert.equal(boxIou([0, 0, 10, 10], [0, 0, 10, 10]), 1);
  assert.equal(boxIou([0, 0, 10, 10], [0, 5, 10, 15]), 50 / 150);
  assert.equal(boxIou([0, 0, 10, 10], [10, 0, 20, 10]), 0);
});

test("boxes without an area overlap nothing", () => {
  assert.equal(boxIou([5, 5, 5, 5], [5, 5, 5, 5]), 0);
  assert.equal(boxIou([5, 5, 5, 5], [0, 0, 10, 10]), 0);
});

test("pairs come highest first, ties by the smaller places", () => {
  const pairs = overlappingPairs([PERSON, PERSON], [ALMOST, PERSON], 0.5);
  assert.deepEqual(pairs.map(({ i, j }) => [i, j]), [[0, 1], [1, 1], [0, 0], [1, 0]]);
});

test("an object of the same class is taken before a nearer one of another", () => {
  const found = compareObjects([PERSON], [DOG, ALMOST], 0.5);
  assert.deepEqual(found.matched.map(({ i, j }) => [i, j]), [[0, 1]]);
  assert.deepEqual([found.other, found.onlyA, found.onlyB], [[], [], [0]]);
});

test("objects in the same place with another class are a kind of their own", () => {
  const found = compareObjects([PERSON, FAR], [DOG], 0.5);
  assert.deepEqual(found.other.map(({ i, j }) => [i, j]), [[0, 0]]);
  assert.deepEqual([found.matched, found.onlyA, found.onlyB], [[], [1], []]);
});

test("every object has one partner at most", () => {
  const { matched, onlyB } = compareObjects([PERSON], [PERSON, ALMOST], 0.5);
  assert.deepEqual([matched.length, onlyB], [1, [1]]);
});

test("groups hold an object of each result once", () => {
  const groups = agreeingGroups([[PERSON], [ALMOST, PERSON], [PERSON]], 0.5);
  assert.deepEqual(groups.map((members) => [...members]), [[[0, 0], [1, 1], [2, 0]], [[1, 0]]]);
});

test("agreed objects have mean boxes and scores, most votes first", () => {
  const [first, second] = agreedObjects([[FAR, PERSON], [ALMOST, FAR], [PERSON]], 2, 0.5);
  assert.deepEqual([first.name, first.members.size, second.members.size], ["person", 3, 2]);
  assert.deepEqual(first.box, [0, 0, 10, 28 / 3]);
  assert.ok(Math.abs(first.score - 2.5 / 3) < 1e-12);
});

test("nothing agrees with nothing", () => {
  assert.deepEqual(agreedObjects([], 2, 0.5), []);
  assert.deepEqual(compareObjects([], [PERSON], 0.5), { matched: [], other: [], onlyA: [], onlyB: [0] });
});
