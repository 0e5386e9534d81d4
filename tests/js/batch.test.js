// Files that are taken into a batch, and what is left to be processed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sortOut } from "../../detection_core/ui/batch/files.js";
import { timeLeft } from "../../detection_core/ui/batch/progress.js";
import { BatchState } from "../../detection_core/ui/batch/state.js";

const chosen = (name, { type = "", fromFolder = false, size = 1 } = {}) => ({ file: { name, type, size, lastModified: 0 }, name, fromFolder });

test("files come in natural order", () => {
  const { taken } = sortOut([chosen("b10.png"), chosen("b2.png"), chosen("A.png")], () => false, 10, 10);
  assert.deepEqual(taken.map(({ name }) => name), ["A.png", "b2.png", "b10.png"]);
});

test("a folder's other files are left out, a chosen file never", () => {
  const { taken, notes } = sortOut([chosen("f/a.txt", { fromFolder: true }), chosen("f/.b.png", { fromFolder: true }), chosen("f/c.PNG", { fromFolder: true }), chosen("d.txt")], () => false, 10, 10);
  assert.deepEqual(taken.map(({ name }) => name), ["d.txt", "f/c.PNG"]);
  assert.deepEqual(notes, ["2 files in the folder left out: no images."]);
});

test("known files and those without room are reported", () => {
  const { taken, notes } = sortOut([chosen("a.png"), chosen("b.png"), chosen("c.png")], ({ name }) => name === "a.png", 1, 200);
  assert.equal(taken.length, 1);
  assert.deepEqual(notes, ["1 image not added again: already here.", "Only 1 of 2 added: at most 200 images at a time."]);
});

test("results of another batch are processed again, and failures always", () => {
  const state = new BatchState();
  state.add([chosen("a.png"), chosen("b.png")]);
  assert.deepEqual([state.has(chosen("a.png")), state.has(chosen("a.png", { size: 2 }))], [true, false]);
  Object.assign(state.images[0], { state: "done", result: {} });
  Object.assign(state.images[1], { state: "failed", error: "no" });
  state.start = { batch: "one" };
  assert.deepEqual(state.take({ batch: "one" }).map(({ name, error }) => [name, error]), [["b.png", ""]]);
  assert.equal(state.take({ batch: "two" }).length, 2);
});

test("the time left is stated once it is known", () => {
  assert.deepEqual([timeLeft(10, 2), timeLeft(10, 3), timeLeft(600, 3)], ["", ", about 10 s left", ", about 10 min left"]);
});
