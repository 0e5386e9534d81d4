// Which class is taken for which at the current thresholds, as detection_core/evaluation/confusion.py computes it.

/** @typedef {{ object: number, detection: number }} Entry an annotated object and its detection; -1 where there is none */

/**
 * Label 0 stands for no object: its row has the false positives, its column the missed objects.
 * @param {EvaluatedDetections} detections
 * @param {EvaluatedObjects} objects
 * @param {(label: number) => number} thresholdOf
 * @returns {Entry[]}
 */
export function confusionEntries(detections, objects, thresholdOf) {
  /** @type {Entry[]} */
  const entries = [];
  const isFree = objects.ignored.map((ignored) => !ignored);
  const isLeft = new Uint8Array(detections.score.length);
  const { score, label, partner, ignored, pairs } = detections;
  for (let i = 0; i < score.length; i++) {
    if (score[i] < thresholdOf(label[i])) continue;
    if (partner[i] >= 0) {
      entries.push({ object: partner[i], detection: i });
      isFree[partner[i]] = false;
    } else if (!ignored[i]) isLeft[i] = 1;
  }
  // From the highest IoU to the lowest.
  for (let i = 0; i < pairs.length; i += 2) {
    const [detection, object] = [pairs[i], pairs[i + 1]];
    if (!isLeft[detection] || !isFree[object]) continue;
    entries.push({ object, detection });
    isLeft[detection] = 0;
    isFree[object] = false;
  }
  isFree.forEach((free, object) => {
    if (free) entries.push({ object, detection: -1 });
  });
  isLeft.forEach((left, detection) => {
    if (left) entries.push({ object: -1, detection });
  });
  return entries;
}

/**
 * The entries by cell: `cells.get(annotated * classes + detected)`.
 * @param {Entry[]} entries
 * @param {EvaluatedDetections} detections
 * @param {EvaluatedObjects} objects
 * @param {number} classes number of classes with the background
 * @returns {Map<number, Entry[]>}
 */
export function confusionCells(entries, detections, objects, classes) {
  /** @type {Map<number, Entry[]>} */
  const cells = new Map();
  for (const entry of entries) {
    const annotated = entry.object < 0 ? 0 : objects.label[entry.object];
    const detected = entry.detection < 0 ? 0 : detections.label[entry.detection];
    const key = annotated * classes + detected;
    const list = cells.get(key);
    if (list) list.push(entry);
    else cells.set(key, [entry]);
  }
  return cells;
}

/** The labels with the most entries, in their order, with 0 at the end. @param {Map<number, Entry[]>} cells @param {number} classes @param {number} most */
export function frequentLabels(cells, classes, most) {
  const weights = new Array(classes).fill(0);
  for (const [key, entries] of cells) {
    weights[Math.floor(key / classes)] += entries.length;
    weights[key % classes] += entries.length;
  }
  const ranked = weights.map((_, label) => label).filter((label) => label && weights[label]).sort((a, b) => weights[b] - weights[a] || a - b);
  return { labels: [...ranked.slice(0, most).sort((a, b) => a - b), 0], left: Math.max(ranked.length - most, 0) };
}
