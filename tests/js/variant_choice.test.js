// The label over the settings of a model: what is chosen, in a few words.

import assert from "node:assert/strict";
import { test } from "node:test";
import { variantInWords } from "../../detection_core/ui/components/js/variant_choice.js";

const model = /** @type {any} */ ({ trained_side: 800 });
const both = { exact: "on disk", fast: "on disk" };

/** @type {[string, object][]} */
const CASES = [
  ["Exact · 800 px · no slices", { states: both, precision: "exact", inputSize: null, slices: null }],
  ["Fast · 480 px · slices of 640 px", { states: both, precision: "fast", inputSize: 480, slices: 640 }],
  ["800 px · no slices", { states: { exact: "on disk" }, precision: "exact", inputSize: null, slices: null }],
  // What the machine lacks is named even where there is no choice.
  ["Fast · 800 px · no slices", { states: { exact: "on disk" }, precision: "fast", inputSize: null, slices: null }],
];
for (const [text, looked] of CASES) test(text, () => assert.equal(variantInWords(/** @type {any} */ ({ model, ...looked })), text));

test("without a model there is nothing to say", () => assert.equal(variantInWords(/** @type {any} */ ({ model: undefined })), ""));
