// Precision, recall and F1 of each class at any score threshold, as detection_core/evaluation/curves.py computes them.

/** @typedef {{ threshold: number, right: number, wrong: number, objects: number }} OperatingPoint */
/** @typedef {{ scores: number[], precision: number[], recall: number[], f1: number[] }} Curve from the highest score to the lowest */

/**
 * Counts right and wrong detections; made once, then every move of a threshold is a search in sorted arrays.
 * @param {EvaluatedDetections} detections by falling score
 * @param {number[]} objects number of objects to be found by label
 */
export function createCurves(detections, objects) {
  const together = { scores: /** @type {number[]} */ ([]), hits: [0] };
  /** @type {Map<number, typeof together>} */
  const byLabel = new Map();
  detections.score.forEach((score, i) => {
    if (detections.ignored[i]) return;
    const label = detections.label[i];
    if (!byLabel.has(label)) byLabel.set(label, { scores: [], hits: [0] });
    for (const list of [together, /** @type {typeof together} */ (byLabel.get(label))]) {
      list.scores.push(score);
      list.hits.push(list.hits[list.hits.length - 1] + Number(detections.partner[i] >= 0));
    }
  });
  const all = objects.reduce((sum, count) => sum + count, 0);
  const empty = { scores: [], hits: [0] };
  /** @param {number | null} label null for all classes together */
  const listOf = (label) => (label === null ? together : byLabel.get(label) ?? empty);
  /** @param {number | null} label */
  const objectsOf = (label) => (label === null ? all : objects[label] ?? 0);

  /** The point of one class, or of all together at one threshold for all. @param {number | null} label @param {number} threshold @returns {OperatingPoint} */
  function at(label, threshold) {
    const { scores, hits } = listOf(label);
    const number = countAtLeast(scores, threshold);
    return { threshold, right: hits[number], wrong: number - hits[number], objects: objectsOf(label) };
  }

  /** The sums over all classes, each at its own threshold. @param {(label: number) => number} thresholdOf @returns {OperatingPoint} */
  function sums(thresholdOf) {
    const total = { threshold: NaN, right: 0, wrong: 0, objects: all };
    for (const label of byLabel.keys()) {
      const { right, wrong } = at(label, thresholdOf(label));
      total.right += right;
      total.wrong += wrong;
    }
    return total;
  }

  /** @param {number | null} label @returns {Curve} */
  function curve(label) {
    const { scores, hits } = listOf(label);
    const count = objectsOf(label);
    /** @type {Curve} */
    const points = { scores: [], precision: [], recall: [], f1: [] };
    scores.forEach((score, i) => {
      // Detections of one score come together: no threshold divides them.
      if (scores[i + 1] === score) return;
      points.scores.push(score);
      points.precision.push(hits[i + 1] / (i + 1));
      points.recall.push(count ? hits[i + 1] / count : NaN);
      points.f1.push((2 * hits[i + 1]) / (i + 1 + count));
    });
    return points;
  }

  /** The threshold with the highest F1; null if nothing is found correctly. @param {number | null} label @returns {number | null} */
  function best(label) {
    const { scores, f1 } = curve(label);
    let place = -1;
    f1.forEach((value, i) => {
      if (value > 0 && (place < 0 || value > f1[place])) place = i;
    });
    return place < 0 ? null : scores[place];
  }

  return { at, sums, curve, best };
}

/** How many of falling scores are at least the threshold. @param {number[]} scores @param {number} threshold */
export function countAtLeast(scores, threshold) {
  let [low, high] = [0, scores.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scores[middle] >= threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @param {OperatingPoint} point @returns {number | null} */
export const precisionOf = ({ right, wrong }) => (right + wrong ? right / (right + wrong) : null);
/** @param {OperatingPoint} point @returns {number | null} */
export const recallOf = ({ right, objects }) => (objects ? right / objects : null);
/** @param {OperatingPoint} point @returns {number | null} */
export const f1Of = ({ right, wrong, objects }) => (right + wrong + objects ? (2 * right) / (right + wrong + objects) : null);

/** About so many of a curve's points for drawing, more of them at high scores, where each changes more. @param {Curve} curve @returns {Curve} */
export function thinned(curve, most = 300) {
  const last = curve.scores.length - 1;
  if (last < most) return curve;
  const half = most / 2;
  const places = new Set([0]);
  for (let i = 0; i < half; i++) {
    places.add(Math.round((last * i) / (half - 1)));
    places.add(Math.round(last ** (i / (half - 1))));
  }
  const order = [...places].sort((a, b) => a - b);
  const pick = (/** @type {number[]} */ values) => order.map((i) => values[i]);
  return { scores: pick(curve.scores), precision: pick(curve.precision), recall: pick(curve.recall), f1: pick(curve.f1) };
}
