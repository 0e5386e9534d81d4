// Whether scores mean what they say, as detection_core/evaluation/calibration.py computes it.

/** @typedef {{ right: number[], wrong: number[], meanScore: number[], precision: number[], error: number | null }} Calibration by interval; NaN in empty ones */

/** @param {EvaluatedDetections} detections @param {number} bins @returns {Calibration} */
export function calibrationOf({ score, partner, ignored }, bins) {
  const zeros = () => new Array(bins).fill(0);
  const [right, wrong, sums] = [zeros(), zeros(), zeros()];
  score.forEach((value, i) => {
    if (ignored[i]) return;
    const bin = Math.min(Math.max(Math.trunc(value * bins), 0), bins - 1);
    (partner[i] >= 0 ? right : wrong)[bin] += 1;
    sums[bin] += value;
  });
  const number = right.map((count, bin) => count + wrong[bin]);
  const meanScore = sums.map((sum, bin) => (number[bin] ? sum / number[bin] : NaN));
  const precision = right.map((count, bin) => (number[bin] ? count / number[bin] : NaN));
  const total = number.reduce((sum, count) => sum + count, 0);
  const gaps = number.map((count, bin) => (count ? count * Math.abs(precision[bin] - meanScore[bin]) : 0));
  return { right, wrong, meanScore, precision, error: total ? gaps.reduce((sum, gap) => sum + gap, 0) / total : null };
}
