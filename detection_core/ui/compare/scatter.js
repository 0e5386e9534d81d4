// Latency against accuracy: every model a dot, the compared ones with their letters and names.

import { formatMs, makeSvg, shorten } from "../components/js/dom.js";
import { createOccupancy } from "../components/js/labels.js";

const SCATTER_HEIGHT = 280;
const TICK_ROOM = 52;
const SCATTER_MARGIN = { left: 40, right: 16, top: 16, bottom: 40 };

/** @typedef {{ title: string, letter: string, latency_ms: number, box_ap: number, compared: boolean }} Dot */
/** @typedef {ReturnType<typeof scalesFor>} Scales */

/** @param {SVGElement} svg drawn anew whenever its width changes */
export function createScatter(svg) {
  /** @type {Dot[]} */
  let points = [];

  function draw() {
    const width = svg.clientWidth;
    svg.replaceChildren();
    if (!points.length || width < 100) return;
    svg.setAttribute("viewBox", `0 0 ${width} ${SCATTER_HEIGHT}`);
    const scales = scalesFor(points, width);
    drawAxes(svg, scales, width);
    const taken = createOccupancy(width, SCATTER_HEIGHT);
    /** @type {Point[]} */
    const spots = points.map((point) => [scales.x(point.latency_ms), scales.y(point.box_ap)]);
    taken.claim(SCATTER_MARGIN.left, SCATTER_MARGIN.top, 52, 14);
    spots.forEach(([x, y]) => taken.claim(x - 6, y - 6, 12, 12));
    // The compared ones lie on top and choose the place of their names first.
    const order = [...points.keys()].sort((i, j) => Number(points[i].compared) - Number(points[j].compared));
    order.forEach((i) => drawDot(svg, points[i], spots[i]));
    [...order].reverse().forEach((i) => drawName(svg, points[i], spots[i], taken, width));
  }

  new ResizeObserver(draw).observe(svg);
  return {
    /** @param {Dot[]} newPoints */
    setPoints(newPoints) {
      points = newPoints;
      draw();
    },
  };
}

/** @param {Dot[]} points @param {number} width */
function scalesFor(points, width) {
  const { left, right, top, bottom } = SCATTER_MARGIN;
  const latencies = points.map(({ latency_ms }) => latency_ms);
  const accuracies = points.map(({ box_ap }) => box_ap);
  const [fastest, slowest] = [Math.log(Math.min(...latencies) / 1.4), Math.log(Math.max(...latencies) * 1.6)];
  const [worst, best] = [Math.max(Math.floor((Math.min(...accuracies) - 4) / 10) * 10, 0), Math.ceil((Math.max(...accuracies) + 2) / 10) * 10];
  const x = (/** @type {number} */ ms) => left + ((Math.log(ms) - fastest) / (slowest - fastest)) * (width - left - right);
  const y = (/** @type {number} */ ap) => SCATTER_HEIGHT - bottom - ((ap - worst) / (best - worst)) * (SCATTER_HEIGHT - top - bottom);
  const decades = [1, 10, 100, 1000, 10000, 100000].flatMap((ten) => [ten, 2 * ten, 5 * ten]);
  const inside = decades.filter((ms) => Math.log(ms) >= fastest && Math.log(ms) <= slowest);
  /** @type {number[]} */
  const ticksX = [];
  for (const ms of inside) if (!ticksX.length || x(ms) - x(ticksX[ticksX.length - 1]) >= TICK_ROOM) ticksX.push(ms);
  const ticksY = Array.from({ length: (best - worst) / 10 + 1 }, (_, i) => worst + 10 * i);
  return { x, y, ticksX, ticksY };
}

/** @param {SVGElement} svg @param {Scales} scales @param {number} width */
function drawAxes(svg, { x, y, ticksX, ticksY }, width) {
  const { left, right, top, bottom } = SCATTER_MARGIN;
  const base = SCATTER_HEIGHT - bottom;
  for (const ms of ticksX) {
    drawSegment(svg, [x(ms), top], [x(ms), base]);
    drawText(svg, formatTick(ms), x(ms), base + 16, "middle");
  }
  for (const ap of ticksY) {
    drawSegment(svg, [left, y(ap)], [width - right, y(ap)]);
    drawText(svg, String(ap), left - 8, y(ap) + 4, "end");
  }
  drawText(svg, "Latency on this machine (logarithmic)", width - right, SCATTER_HEIGHT - 6, "end");
  drawText(svg, "Box AP", left + 6, top + 10, "start");
}

/** @param {number} ms */
const formatTick = (ms) => (ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`);

/** @param {SVGElement} svg @param {Point} from @param {Point} to */
function drawSegment(svg, [x1, y1], [x2, y2]) {
  makeSvg("path", "cv-grid", svg).setAttribute("d", `M${x1} ${y1}L${x2} ${y2}`);
}

/**
 * @param {SVGElement} svg
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {string} anchor
 * @param {string} [className]
 */
function drawText(svg, text, x, y, anchor, className = "cv-tick") {
  const node = makeSvg("text", className, svg);
  for (const [name, value] of Object.entries({ x, y, "text-anchor": anchor })) node.setAttribute(name, String(value));
  node.textContent = text;
  return node;
}

/** @param {SVGElement} svg @param {Dot} point @param {Point} at */
function drawDot(svg, point, [x, y]) {
  const dot = makeSvg("circle", point.compared ? "cv-dot cv-compared" : "cv-dot", svg);
  for (const [name, value] of Object.entries({ cx: x, cy: y, r: point.compared ? 6 : 4 })) dot.setAttribute(name, String(value));
  makeSvg("title", "", dot).textContent = `${point.title}: ${formatMs(point.latency_ms)}, box AP ${point.box_ap.toFixed(1)}`;
}

/**
 * @param {SVGElement} svg
 * @param {Dot} point
 * @param {Point} at
 * @param {import("../components/js/labels.js").Occupancy} taken
 * @param {number} width
 */
function drawName(svg, point, [x, y], taken, width) {
  const text = point.letter ? `${point.letter} ${shorten(point.title, 32)}` : shorten(point.title, 24);
  const node = drawText(svg, text, 0, 0, "start", point.compared ? "cv-point-name cv-compared" : "cv-point-name");
  const size = node.getComputedTextLength();
  const spots = [[x + 10, y - 8], [x - 10 - size, y - 8], [x - size / 2, y - 26], [x - size / 2, y + 9], [x - 6, y - 26], [x - 6, y + 9], [x + 6 - size, y - 26], [x + 6 - size, y + 9]];
  const fits = (/** @type {number[]} */ [left, top]) => left >= SCATTER_MARGIN.left && left + size <= width - 2 && top >= 0 && top + 16 <= SCATTER_HEIGHT - SCATTER_MARGIN.bottom;
  const spot = spots.find(([left, top]) => fits([left, top]) && taken.claim(left, top, size, 16));
  if (!spot) return node.remove();
  node.setAttribute("x", String(spot[0]));
  node.setAttribute("y", String(spot[1] + 12));
}
