// The mode Explain: boxes that visitors draw, and answers in words.

import assert from "node:assert/strict";
import { test } from "node:test";
import { aboutTime, boxBetween, changeText, countedBoxes, exactScore, fateText, placeText, stageFigures, stepText } from "../../detection_core/ui/explain/words.js";

const SIZE = { width: 100, height: 50 };

test("a drawn box lies in the image, whichever corner it began at", () => {
  assert.deepEqual(boxBetween([10, 20], [30, 40], SIZE), [10, 20, 30, 40]);
  assert.deepEqual(boxBetween([30, 40], [10, 20], SIZE), [10, 20, 30, 40]);
  assert.deepEqual(boxBetween([-20, 45.4], [130, 99], SIZE), [0, 45, 100, 50]);
});

test("a box without an area is none", () => {
  assert.equal(boxBetween([10, 20], [10.2, 40], SIZE), null);
  assert.equal(boxBetween([120, 5], [140, 40], SIZE), null);
});

test("a place is described by its pixels, and by what is there", () => {
  assert.equal(placeText([10.4, 20], null, ""), "10 from the left, 20 from the top");
  assert.equal(placeText([10, 20], null, "dog 0.93"), "10 from the left, 20 from the top: dog 0.93");
  assert.equal(placeText([10, 20], [10, 20, 30, 50], "dog 0.93"), "Box of 20 by 30 pixels, 10 from the left and 20 from the top");
});

test("scores read as zero or one only if they are", () => {
  assert.deepEqual([0.5, 0.01, 0.004, 0.00031, 2e-8, 0].map(exactScore), ["0.50", "0.01", "0.004", "0.0003", "0.000000", "0.00"]);
  assert.deepEqual([0.99, 0.9962, 0.99996, 1].map(exactScore), ["0.99", "0.996", "0.99996", "1.00"]);
});

test("a step says how the box moved; the first one only its size", () => {
  const box = [10, 10, 50, 90];
  assert.equal(stepText({ moved: 0, scaled: [1, 1], box }), "40×80 px");
  assert.equal(stepText({ moved: 12.4, scaled: [1.2, 0.951], box }), "40×80 px: moved by 12 px, width ×1.20, height ×0.95");
});

test("a change is counted", () => {
  const kept = { new: false };
  assert.equal(changeText({ objects: [kept], gone: [], before: 1 }), "1 object, the same as with the model's own settings.");
  assert.equal(changeText({ objects: [kept, { new: true }], gone: [], before: 1 }), "2 objects instead of 1: 1 more appears.");
  assert.equal(changeText({ objects: [{ new: true }, { new: true }], gone: [{}], before: 1 }), "2 objects instead of 1: 2 more appear, and 1 is gone.");
  assert.equal(changeText({ objects: [], gone: [{}, {}], before: 2 }), "0 objects instead of 2: 2 are gone.");
});

test("stages have counts and times, as far as they are known", () => {
  assert.equal(stageFigures({ count: null, ms: 12.3 }), "12 ms");
  assert.equal(stageFigures({ count: 1, ms: null }), "1 box");
  assert.equal(stageFigures({ count: 1917, ms: 1500 }), "1,917 boxes · 1.5 s");
  assert.equal(stageFigures({ count: null, ms: null }), "");
  assert.equal(countedBoxes(0), "0 boxes");
});

test("times are said roughly", () => {
  assert.deepEqual([0.2, 1, 40.4, 100, 3600].map(aboutTime), ["about 1 second", "about 1 second", "about 40 seconds", "about 2 minutes", "about 60 minutes"]);
});

test("a fate that is not known is said as it comes", () => {
  assert.deepEqual(["kept", "suppressed", "something new"].map(fateText), ["found", "suppressed", "something new"]);
});
