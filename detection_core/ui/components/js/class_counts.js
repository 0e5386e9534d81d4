// The objects of images above a threshold, in numbers and words. Objects come sorted by score, highest first.

/** @param {{ result: BatchResult | null }} image @param {number} threshold */
export function visibleCount(image, threshold) {
  const objects = image.result?.objects ?? [];
  let n = 0;
  while (n < objects.length && objects[n].score >= threshold - 1e-9) n++;
  return n;
}

/**
 * Adds the image's visible objects to a map of counts by class id.
 * @param {Map<number, number>} counts
 * @param {{ result: BatchResult | null }} image
 * @param {number} visible
 */
export function addCounts(counts, image, visible) {
  for (const { class_id: id } of image.result?.objects.slice(0, visible) ?? []) {
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

/**
 * "4 persons, 2 dogs", most frequent first; "nothing" for no objects.
 * @param {Map<number, number>} counts
 * @param {Categories} categories
 * @param {number} [limit] of kinds; the rest is counted
 */
export function inWords(counts, categories, limit = Infinity) {
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  const phrases = sorted.map(([id, n]) => `${n} ${n === 1 ? categories[id]?.name : categories[id]?.plural}`);
  const rest = phrases.length - limit;
  return (rest > 1 ? [...phrases.slice(0, limit), `${rest} more kinds`] : phrases).join(", ") || "nothing";
}
