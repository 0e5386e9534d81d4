// Slices of large images: which objects only they found, and what the panel says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isOnlyInSlices, slicesText } from "../../detection_core/ui/detect/slices.js";

test("an object is only in slices if the whole image would not show it at the threshold", () => {
  assert.equal(isOnlyInSlices({ whole_score: 0 }, 0.2), true);
  assert.equal(isOnlyInSlices({ whole_score: 0.1 }, 0.2), true);
  assert.equal(isOnlyInSlices({ whole_score: 0.2 }, 0.2), false);
  assert.equal(isOnlyInSlices({ whole_score: 0.1 }, 0.1 + 1e-12), false);
  assert.equal(isOnlyInSlices({ whole_score: null }, 0.2), null);
  assert.equal(isOnlyInSlices({}, 0.2), null);
});

test("the panel says how many slices there are and what they found", () => {
  const tiles = [[0, 0, 640, 480], [360, 0, 1000, 480]];
  assert.equal(slicesText(tiles, 0), "2 slices of 640×480 pixels; 0 objects found in slices only.");
  assert.equal(slicesText(tiles, 1), "2 slices of 640×480 pixels; 1 object found in slices only.");
  assert.equal(slicesText([], 0), "The image is not larger than one slice.");
});
