// The keys that name a model and its variant: NAME[@PRECISION][@SIZEpx][@slicesSIZE], as detection_core/models/model_key.py reads them.

const KEY = /^(.+?)(?:@(fast|stock))?(?:@([1-9][0-9]{0,4})px)?(?:@slices([1-9][0-9]{0,4}))?$/s;

/**
 * @typedef {object} ModelKey
 * @property {string} name The model's name, or whatever else stands before the variant.
 * @property {string} precision "exact" where the key names none.
 * @property {number | null} inputSize Pixels of the shorter side of an image; null: as the model was trained.
 * @property {number | null} slices Pixels of a tile's side; null: in the whole image only.
 */

/**
 * "ssd300_vgg16@fast" is the model "ssd300_vgg16" in the precision "fast".
 * @param {string} key
 * @returns {ModelKey}
 */
export function splitKey(key) {
  const [, name = key, precision = "exact", inputSize, slices] = KEY.exec(key) ?? [];
  return { name, precision, inputSize: inputSize ? Number(inputSize) : null, slices: slices ? Number(slices) : null };
}

/**
 * The key of its parts.
 * @param {ModelKey} parts
 */
export function joinKey({ name, precision, inputSize, slices }) {
  return name + (precision === "exact" ? "" : `@${precision}`) + (inputSize ? `@${inputSize}px` : "") + (slices ? `@slices${slices}` : "");
}

/**
 * Whether keys name one model, be it in different variants: its scores mean the same, so thresholds stay. There may be no key yet.
 * @param {string | null | undefined} key
 * @param {string | null | undefined} other
 */
export function isSameModel(key, other) {
  return Boolean(key && other && splitKey(key).name === splitKey(other).name);
}
