// Two models on the same objects, as detection_core/evaluation/paired.py computes it: what only one of them finds, and where they differ.

const MOST_EXACT = 1000;

/** @typedef {{ found: boolean[], wrong: number[], unmatched: number[][] }} Outcome of each object, and by image: how many wrong ones, and which */
/** @typedef {{ image: number, errorsA: number, errorsB: number }} ImageDifference */

/**
 * @param {EvaluatedDetections} detections
 * @param {EvaluatedObjects} objects
 * @param {number} images
 * @param {(label: number) => number} thresholdOf
 * @returns {Outcome}
 */
export function outcomeOf(detections, objects, images, thresholdOf) {
  const found = new Array(objects.label.length).fill(false);
  /** @type {number[][]} */
  const unmatched = Array.from({ length: images }, () => []);
  const { score, label, image, partner, ignored } = detections;
  for (let i = 0; i < score.length; i++) {
    if (score[i] < thresholdOf(label[i])) continue;
    if (partner[i] >= 0) found[partner[i]] = true;
    else if (!ignored[i]) unmatched[image[i]].push(i);
  }
  return { found, wrong: unmatched.map((list) => list.length), unmatched };
}

/** @param {Outcome} a @param {Outcome} b @param {EvaluatedObjects} objects */
export function compareOutcomes(a, b, objects) {
  const errorsA = [...a.wrong];
  const errorsB = [...b.wrong];
  /** @type {{ both: number[], onlyA: number[], onlyB: number[], neither: number[] }} */
  const result = { both: [], onlyA: [], onlyB: [], neither: [] };
  objects.label.forEach((_, object) => {
    if (objects.ignored[object]) return;
    const [inA, inB] = [a.found[object], b.found[object]];
    (inA ? (inB ? result.both : result.onlyA) : inB ? result.onlyB : result.neither).push(object);
    if (!inA) errorsA[objects.image[object]] += 1;
    if (!inB) errorsB[objects.image[object]] += 1;
  });
  const images = errorsA.map((count, image) => ({ image, errorsA: count, errorsB: errorsB[image] })).filter((each) => each.errorsA !== each.errorsB);
  const gap = (/** @type {ImageDifference} */ each) => Math.abs(each.errorsA - each.errorsB);
  images.sort((one, other) => gap(other) - gap(one) || one.image - other.image);
  return { ...result, wrongA: sum(a.wrong), wrongB: sum(b.wrong), images, pValue: mcnemar(result.onlyA.length, result.onlyB.length) };
}

/** @param {number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** The two-sided probability of at least so uneven a division by fair coins. @param {number} onlyA @param {number} onlyB */
export function mcnemar(onlyA, onlyB) {
  const number = onlyA + onlyB;
  const fewer = Math.min(onlyA, onlyB);
  if (number > MOST_EXACT) return erfc(Math.max(Math.abs(onlyA - onlyB) - 1, 0) / Math.sqrt(2 * number));
  let [term, total] = [2 ** -number, 0];
  for (let k = 0; k <= fewer; k++) {
    total += term;
    term *= (number - k) / (k + 1);
  }
  return Math.min(1, 2 * total);
}

/** The complementary error function for x ≥ 0, to seven digits (Numerical Recipes). @param {number} x */
function erfc(x) {
  const t = 1 / (1 + x / 2);
  const factors = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223];
  return t * Math.exp(-x * x + factors.reduce((value, factor) => value * t + factor, 0));
}
