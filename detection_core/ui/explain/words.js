// What the mode Explain says, and the boxes that visitors draw: computed from plain values.

import { clamp, counted, formatMs } from "../components/js/dom.js";

/** What became of a candidate, in as few words as fit beside its score. */
const FATES = /** @type {Record<string, string>} */ ({
  "below the minimum score": "below the minimum score",
  "not among the top k before NMS": "too many better ones",
  "too small": "box is empty",
  suppressed: "suppressed",
  "cut by the limit after NMS": "cut by the limit",
  "below your threshold": "below your threshold",
  kept: "found",
});

/** @param {string} fate */
export const fateText = (fate) => FATES[fate] ?? fate;

/** A score with two digits, or more where it would seem to be 0 or 1, as in the sentences. @param {number} score */
export function exactScore(score) {
  let text = "";
  for (let digits = 2; digits <= 6; digits += 1) {
    text = score.toFixed(digits);
    if (score === 0 || score === 1 || ![0, 1].includes(Number(text))) return text;
  }
  return text;
}

/**
 * The box between two points of the image, within it; null if it is a point.
 * @param {number[]} from
 * @param {number[]} to
 * @param {{ width: number, height: number }} size
 * @returns {Box | null}
 */
export function boxBetween(from, to, { width, height }) {
  const xs = [from[0], to[0]].map((x) => clamp(Math.round(x), 0, width)).sort((a, b) => a - b);
  const ys = [from[1], to[1]].map((y) => clamp(Math.round(y), 0, height)).sort((a, b) => a - b);
  return xs[0] < xs[1] && ys[0] < ys[1] ? [xs[0], ys[0], xs[1], ys[1]] : null;
}

/** Whether the middle of a box is in a part of the image. @param {Box} box @param {Box} part */
export function isWithin([left, top, right, bottom], [x0, y0, x1, y1]) {
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  return x >= x0 && x <= x1 && y >= y0 && y <= y1;
}

/**
 * Where the crosshair is, what is there, and the box that is drawn from it.
 * @param {number[]} point
 * @param {Box | null} box
 * @param {string} object that is shown there; "" for none
 */
export function placeText([x, y], box, object) {
  if (box) return `Box of ${box[2] - box[0]} by ${box[3] - box[1]} pixels, ${box[0]} from the left and ${box[1]} from the top`;
  return `${Math.round(x)} from the left, ${Math.round(y)} from the top${object ? `: ${object}` : ""}`;
}

/**
 * What one step did to a box: "moved by 12 px, width ×1.20, height ×0.95".
 * @param {{ moved: number, scaled: number[], box: Box }} step
 */
export function stepText({ moved, scaled: [across, down], box: [x1, y1, x2, y2] }) {
  const size = `${Math.round(x2 - x1)}×${Math.round(y2 - y1)} px`;
  if (moved === 0 && across === 1 && down === 1) return size;
  return `${size}: moved by ${Math.round(moved)} px, width ×${across.toFixed(2)}, height ×${down.toFixed(2)}`;
}

/**
 * What other settings change, in a sentence.
 * @param {{ objects: { new: boolean }[], gone: unknown[], before: number }} answer
 */
export function changeText({ objects, gone, before }) {
  const added = objects.filter((object) => object.new).length;
  const found = counted(objects.length, "object");
  if (!added && !gone.length) return `${found}, the same as with the model's own settings.`;
  const more = `${added.toLocaleString("en")} more ${added === 1 ? "appears" : "appear"}`;
  const less = `${gone.length.toLocaleString("en")} ${gone.length === 1 ? "is" : "are"} gone`;
  const parts = [added ? more : "", gone.length ? less : ""];
  return `${found} instead of ${before.toLocaleString("en")}: ${parts.filter(Boolean).join(", and ")}.`;
}

/** "1 box", "1,200 boxes". @param {number} n */
export const countedBoxes = (n) => `${n.toLocaleString("en")} ${n === 1 ? "box" : "boxes"}`;

/** A count and a time, as far as a stage has them. @param {{ count: number | null, ms: number | null }} stage */
export function stageFigures({ count, ms }) {
  const parts = [count === null ? "" : countedBoxes(count), ms === null ? "" : formatMs(ms)];
  return parts.filter(Boolean).join(" · ");
}

/** "about 40 seconds", "about 3 minutes". @param {number} seconds */
export function aboutTime(seconds) {
  if (seconds < 90) return `about ${counted(Math.max(1, Math.round(seconds)), "second")}`;
  return `about ${counted(Math.round(seconds / 60), "minute")}`;
}
