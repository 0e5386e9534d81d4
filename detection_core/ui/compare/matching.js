// Which objects of several results are the same object: the rules of detection_core/detections/matching.py and comparison.py, number for number.
// An object has a `box` [x1, y1, x2, y2] and a `name`; only names decide what is the same class.

/** @typedef {{ box: Box, name: string }} Boxed */
/** @typedef {Boxed & { score: number }} Scored */

/** Intersection over union; boxes without an area overlap nothing. @param {Box} a @param {Box} b */
export function boxIou([x0, y0, x1, y1], [u0, v0, u1, v1]) {
  const shared = Math.max(Math.min(x1, u1) - Math.max(x0, u0), 0) * Math.max(Math.min(y1, v1) - Math.max(y0, v0), 0);
  return shared > 0 ? shared / ((x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - shared) : 0;
}

/**
 * All pairs {i, j, iou, same} with at least that overlap, the highest first, ties by the smaller i + j.
 * @param {Boxed[]} a
 * @param {Boxed[]} b
 * @param {number} threshold
 */
export function overlappingPairs(a, b, threshold) {
  /** @type {(Match & { same: boolean })[]} */
  const pairs = [];
  a.forEach((first, i) =>
    b.forEach((second, j) => {
      const iou = boxIou(first.box, second.box);
      if (iou >= threshold) pairs.push({ i, j, iou, same: first.name === second.name });
    }),
  );
  return pairs.sort((p, q) => q.iou - p.iou || p.i + p.j - (q.i + q.j) || p.i - q.i);
}

/**
 * Where two results agree: {matched, other: [{i, j, iou}], onlyA: [i], onlyB: [j]}, all in the order of the objects.
 * @param {Boxed[]} a
 * @param {Boxed[]} b
 * @param {number} threshold
 * @returns {PairComparison}
 */
export function compareObjects(a, b, threshold) {
  const pairs = overlappingPairs(a, b, threshold);
  const [freeA, freeB] = [new Set(a.keys()), new Set(b.keys())];
  const take = (/** @type {Match[]} */ candidates) => {
    const taken = candidates.filter(({ i, j }) => freeA.has(i) && freeB.has(j) && freeA.delete(i) && freeB.delete(j));
    return taken.sort((p, q) => p.i - q.i);
  };
  const matched = take(pairs.filter(({ same }) => same));
  const other = take(pairs.filter(({ same }) => !same));
  return { matched, other, onlyA: [...freeA], onlyB: [...freeB] };
}

/**
 * Groups of objects that are the same object, as Maps from the number of the result to the object's place in it.
 * @param {Boxed[][]} results
 * @param {number} threshold
 */
export function agreeingGroups(results, threshold) {
  const pairs = results.flatMap((a, first) =>
    results.slice(first + 1).flatMap((b, offset) =>
      overlappingPairs(a, b, threshold).flatMap((pair) => (pair.same ? [{ ...pair, first, second: first + 1 + offset }] : [])),
    ),
  );
  pairs.sort((p, q) => q.iou - p.iou || p.i + p.j - (q.i + q.j) || p.first - q.first || p.second - q.second || p.i - q.i);
  const groups = results.map((objects, result) => objects.map((_, i) => new Map([[result, i]])));
  for (const { i, j, first, second } of pairs) {
    const [kept, joined] = [groups[first][i], groups[second][j]];
    if ([...joined.keys()].some((result) => kept.has(result))) continue;
    for (const [result, index] of joined) {
      kept.set(result, index);
      groups[result][index] = kept;
    }
  }
  return [...new Set(groups.flat())].map((group) => new Map([...group].sort(([p], [q]) => p - q)));
}

/**
 * What at least so many results agree on: {name, members, box, score}, most votes first, then the highest mean score.
 * @param {Scored[][]} results
 * @param {number} votes
 * @param {number} threshold
 * @returns {Agreed[]}
 */
export function agreedObjects(results, votes, threshold) {
  const agreed = agreeingGroups(results, threshold).filter((members) => members.size >= votes);
  const mean = (/** @type {number[]} */ numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  const found = agreed.map((members) => {
    const objects = [...members].map(([result, index]) => results[result][index]);
    const box = [0, 1, 2, 3].map((side) => mean(objects.map((object) => object.box[side])));
    return { name: objects[0].name, members, box, score: mean(objects.map((object) => object.score)) };
  });
  const places = (/** @type {Agreed} */ { members }) => [...members].flat();
  const byPlaces = (/** @type {Agreed} */ p, /** @type {Agreed} */ q) => places(p).map((place, k) => place - places(q)[k]).find((difference) => difference) ?? 0;
  return found.sort((p, q) => q.members.size - p.members.size || q.score - p.score || byPlaces(p, q));
}
