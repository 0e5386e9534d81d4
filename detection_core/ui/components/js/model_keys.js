// The keys that name a model in a precision.

/**
 * "ssd300_vgg16@fast" is the model "ssd300_vgg16" in the precision "fast"; without an "@", which no name has, it is "exact".
 * @param {string} key
 */
export function splitKey(key) {
  const [name, precision = "exact"] = key.split("@");
  return { name, precision };
}

/**
 * Whether keys name one model, be it in different precisions: its scores mean the same, so thresholds stay. There may be no key yet.
 * @param {string | null | undefined} key
 * @param {string | null | undefined} other
 */
export function isSameModel(key, other) {
  return Boolean(key && other && splitKey(key).name === splitKey(other).name);
}
