// Polygons and hit tests in image coordinates. A ring is a flat list [x, y, x, y, ...]; several rings fill by the even-odd rule.

/** @param {number[][]} rings */
export function ringsToPath(rings) {
  let path = "";
  for (const ring of rings) {
    path += `M${ring[0]} ${ring[1]}L`;
    for (let i = 2; i < ring.length; i += 2) path += `${ring[i]} ${ring[i + 1]} `;
    path += "Z";
  }
  return path;
}

/** @param {Box} box */
export function boxToPath([x1, y1, x2, y2]) {
  return `M${x1} ${y1}H${x2}V${y2}H${x1}Z`;
}

/** @param {number[]} ring */
function ringArea(ring) {
  let doubled = 0;
  for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) doubled += ring[j] * ring[i + 1] - ring[i] * ring[j + 1];
  return Math.abs(doubled) / 2;
}

/** @param {{ box: Box, polygons?: number[][] | null }} object */
export function objectArea({ box: [x1, y1, x2, y2], polygons }) {
  return polygons?.length ? Math.max(...polygons.map(ringArea)) : (x2 - x1) * (y2 - y1);
}

/** @param {number[][]} rings @param {number} x @param {number} y */
export function insideRings(rings, x, y) {
  let inside = false;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
      const crosses = ring[i + 1] > y !== ring[j + 1] > y;
      if (crosses && x < ((ring[j] - ring[i]) * (y - ring[i + 1])) / (ring[j + 1] - ring[i + 1]) + ring[i]) inside = !inside;
    }
  }
  return inside;
}

/** @param {Box} box @param {number} x @param {number} y @param {number} slack */
function insideBox([x1, y1, x2, y2], x, y, slack) {
  return x >= x1 - slack && x <= x2 + slack && y >= y1 - slack && y <= y2 + slack;
}

/**
 * The object under a point, or -1: the smallest whose polygon contains the point, else the smallest whose box does.
 * `slack` widens boxes (in image pixels) so that tiny objects can be hit.
 * @param {Drawn[]} objects
 * @param {(index: number) => boolean} isVisible
 * @param {number} x
 * @param {number} y
 * @param {number} slack
 */
export function objectAt(objects, isVisible, x, y, slack) {
  let best = -1;
  let bestExact = false;
  for (let i = 0; i < objects.length; i++) {
    const object = objects[i];
    if (!isVisible(i) || !insideBox(object.box, x, y, slack)) continue;
    const exact = !object.polygons || insideRings(object.polygons, x, y);
    const better = best < 0 || (exact === bestExact ? object.area < objects[best].area : exact);
    if (better) [best, bestExact] = [i, exact];
  }
  return best;
}
