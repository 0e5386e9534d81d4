// The list of input sizes of a model: to how many pixels it resizes the shorter side of an image; and what a size costs here.

import { make, setText, show } from "./dom.js";
import { splitKey } from "./model_keys.js";

const SIZES = [320, 480, 640, 800, 1024, 1333];

/** @typedef {import("./model_options.js").LookedUp} LookedUp */

/**
 * The list as a `node`, to be put somewhere; `onChoose` is called with the choice, null for the size of the training.
 * @param {(size: number | null) => void} onChoose
 */
export function createInputSizeChoice(onChoose) {
  const node = make("div", "input-size");
  const label = make("label", "input-size-label");
  const title = make("span");
  const select = make("select");
  const hint = make("p", "input-size-hint");
  hint.id = `input-size-${Math.random().toString(36).slice(2)}`;
  select.setAttribute("aria-describedby", hint.id);
  select.addEventListener("change", () => onChoose(select.value ? Number(select.value) : null));
  label.append(title, select);
  node.append(label, hint);
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
      setText(title, name);
      fill(select, model, inputSize);
      // A link may ask for a size that the model does not have.
      select.disabled = Boolean(model.one_size) && inputSize === null;
      select.title = model.one_size;
      const cost = costInWords(key, model);
      setText(hint, model.one_size || (cost ? `Takes ${cost}.` : "Pixels of the image's shorter side. More show smaller objects, and take longer."));
    },
  };
}

/**
 * What an image takes with the model of a key, from what its variants have taken here; "" where none has run.
 * @param {string} key
 * @param {{ trained_side: number, seconds: Record<string, number> }} model
 */
export function costInWords(key, { trained_side, seconds }) {
  if (key in seconds) return `about ${inWords(seconds[key])} an image here`;
  const { precision, slices, inputSize } = splitKey(key);
  const size = inputSize ?? trained_side;
  const alike = Object.entries(seconds)
    .map(([other, taken]) => ({ ...splitKey(other), taken }))
    .filter((other) => other.precision === precision && other.slices === slices)
    .map((other) => ({ taken: other.taken, side: other.inputSize ?? trained_side }));
  if (!alike.length) return "";
  // Time grows with the number of pixels; the nearest size misleads least.
  const nearest = alike.reduce((best, other) => (apart(other.side, size) < apart(best.side, size) ? other : best));
  const estimate = nearest.taken * (size / nearest.side) ** 2;
  return `about ${inWords(estimate)} an image here, estimated from ${inWords(nearest.taken)} at ${nearest.side} px`;
}

/** @param {number} side @param {number} other */
const apart = (side, other) => Math.abs(Math.log(side / other));

/** @param {number} seconds */
function inWords(seconds) {
  if (seconds < 0.0995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  return `${seconds < 9.95 ? Number(seconds.toPrecision(2)) : Math.round(seconds)} s`;
}

/**
 * Writes the sizes into the list; what is written already stays, because an open list would close.
 * @param {HTMLSelectElement} select
 * @param {ModelCard} model
 * @param {number | null} chosen
 */
function fill(select, { trained_side, one_size }, chosen) {
  const sizes = [...new Set([...(one_size ? [] : SIZES), ...(chosen ? [chosen] : [])])].sort((a, b) => a - b);
  const listed = JSON.stringify([trained_side, ...sizes]);
  if (select.dataset.listed !== listed) {
    select.dataset.listed = listed;
    select.replaceChildren(new Option(`As trained (${trained_side} px)`, ""), ...sizes.map((size) => new Option(`${size} px`, String(size))));
  }
  select.value = chosen ? String(chosen) : "";
}
