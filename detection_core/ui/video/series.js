// Counts over time as numbers: which frame is shown when, which objects it has, and lines that a screen has room for.

const LINES_SHOWN = 6;
const REST_COLOR = "#8a8f98";

/**
 * The index of the last of `times` that is not after `time`; 0 before the first.
 * @param {number[]} times
 * @param {number} time
 */
export function frameAt(times, time) {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (times[middle] <= time + 1e-4) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** When the last frame ends, estimated from the others. @param {number[]} times */
export function seriesEnd(times) {
  const step = times.length > 1 ? (times[times.length - 1] - times[0]) / (times.length - 1) : 0.04;
  return (times.at(-1) ?? 0) + step;
}

/** The classes that get a line of their own; the rare ones share the last. @param {VideoClass[]} classes */
export function seriesLines(classes) {
  if (classes.length <= LINES_SHOWN) return classes;
  const [own, rest] = [classes.slice(0, LINES_SHOWN - 1), classes.slice(LINES_SHOWN - 1)];
  const counts = rest[0].counts.map((_, i) => rest.reduce((sum, each) => sum + each.counts[i], 0));
  const total = rest[0].total === null ? null : rest.reduce((sum, each) => sum + (each.total ?? 0), 0);
  return [...own, { name: `${rest.length} more kinds`, plural: `${rest.length} more kinds`, color: REST_COLOR, counts, total }];
}

/** "2 persons, 1 dog" of one frame; "nothing". @param {VideoClass[]} lines @param {number} index */
export function seenAt(lines, index) {
  const phrases = lines.flatMap(({ name, plural, counts }) => (counts[index] ? [`${counts[index]} ${counts[index] === 1 ? name : plural}`] : []));
  return phrases.join(", ") || "nothing";
}

/**
 * [[time, count]] where the count becomes another; of many frames on one pixel the highest count is kept.
 * @param {number[]} times
 * @param {number[]} counts
 * @param {number} secondsPerPixel
 * @returns {Point[]}
 */
export function steps(times, counts, secondsPerPixel) {
  /** @type {Point[]} */
  const found = [];
  for (let i = 0; i < times.length; ) {
    const begin = i;
    let highest = counts[i];
    while (++i < times.length && times[i] - times[begin] < secondsPerPixel) highest = Math.max(highest, counts[i]);
    if (found.at(-1)?.[1] !== highest) found.push([times[begin], highest]);
  }
  return found;
}

/** Whole numbers from 0 to at least `most`, at most five of them. @param {number} most */
export function countTicks(most) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200].find((size) => most / size <= 4) ?? Math.ceil(most / 4);
  return Array.from({ length: Math.max(1, Math.ceil(most / step)) + 1 }, (_, i) => i * step);
}

/** Round times from 0 to `seconds`, with room for their labels. @param {number} seconds @param {number} room */
export function timeTicks(seconds, room) {
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600].find((size) => seconds / size <= room) ?? 7200;
  return Array.from({ length: Math.floor(seconds / step + 1e-6) + 1 }, (_, i) => i * step);
}
