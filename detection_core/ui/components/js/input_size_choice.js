// The list of input sizes of a model: to how many pixels it resizes the shorter side of an image; and what a size costs here.

import { show } from "./dom.js";
import { splitKey } from "./model_keys.js";
import { createNumberChoice } from "./number_choice.js";

const SIZES = [320, 480, 640, 800, 1024, 1333];

/** @typedef {import("./model_options.js").LookedUp} LookedUp */

/**
 * The list as a `node`, to be put somewhere; `onChoose` is called with the choice, null for the size of the training.
 * @param {(size: number | null) => void} onChoose
 */
export function createInputSizeChoice(onChoose) {
  const choice = createNumberChoice("input-size", onChoose);
  const { node, select } = choice;
  return {
    node,
    /**
     * Shows the sizes of a model and the chosen one; nothing where there is no model.
     * @param {LookedUp} looked
     * @param {string} name
     */
    draw({ key, model, inputSize }, name) {
      show(node, Boolean(model));
      if (!model) return;
      choice.fill(`As trained (${model.trained_side} px)`, model.one_size ? [] : SIZES, (size) => `${size} px`, inputSize);
      // A link may ask for a size that the model does not have.
      select.disabled = Boolean(model.one_size) && inputSize === null;
      select.title = model.one_size;
      const cost = costInWords(key, model);
      choice.describe(name, model.one_size || (cost ? `Takes ${cost}.` : "Pixels of the image's shorter side. More show smaller objects, and take longer."));
    },
  };
}

/**
 * What an image takes with the model of a key, from what its variants have taken here; "" where none has run.
 * @param {string} key
 * @param {{ trained_side: number, seconds: Record<string, number>, fixed_shares: Record<string, number> }} model
 */
export function costInWords(key, { trained_side, seconds, fixed_shares }) {
  if (key in seconds) return `about ${inWords(seconds[key])} an image here`;
  const { precision, slices, inputSize } = splitKey(key);
  const size = inputSize ?? trained_side;
  const alike = Object.entries(seconds)
    .map(([other, taken]) => ({ ...splitKey(other), taken }))
    .filter((other) => other.precision === precision && other.slices === slices)
    .map((other) => ({ taken: other.taken, side: other.inputSize ?? trained_side }));
  if (!alike.length) return "";
  // But for a fixed part, time grows with the number of pixels; the nearest size misleads least.
  const nearest = alike.reduce((best, other) => (apart(other.side, size) < apart(best.side, size) ? other : best));
  const fixed = fixed_shares[precision];
  const timeAt = (/** @type {number} */ side) => fixed + (1 - fixed) * (side / trained_side) ** 2;
  const estimate = (nearest.taken * timeAt(size)) / timeAt(nearest.side);
  return `about ${inWords(estimate)} an image here, estimated from ${inWords(nearest.taken)} at ${nearest.side} px`;
}

/** @param {number} side @param {number} other */
const apart = (side, other) => Math.abs(Math.log(side / other));

/** @param {number} seconds */
function inWords(seconds) {
  if (seconds < 0.0995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  return `${seconds < 9.95 ? Number(seconds.toPrecision(2)) : Math.round(seconds)} s`;
}
