// Charts as SVG in the text's color: lines over axes from 0 to 1, bars, and dots of accuracy against time.

import { makeSvg } from "../components/js/dom.js";
import { letterOf } from "./state.js";

const HEIGHT = 260;
const EDGE = { left: 44, right: 14, top: 28, bottom: 40 };
const TICKS = [0, 0.2, 0.4, 0.6, 0.8, 1];
// A line and a letter in the key of a chart.
const KEY_WIDTH = 46;

/** @typedef {{ name: string, x: number[], y: number[], place: number, mark?: Point | null, best?: Point | null }} Line marks: a dot at the threshold, a ring at the best one */

/** Draws a chart anew whenever its width changes. @param {SVGElement} svg @param {(width: number) => void} draw */
export function responsive(svg, draw) {
  let last = 0;
  const redraw = () => {
    last = svg.clientWidth;
    if (last > 80) draw(last);
  };
  new ResizeObserver(() => {
    if (svg.clientWidth !== last) redraw();
  }).observe(svg);
  return redraw;
}

/** @param {SVGElement} svg @param {{ title: string, xLabel: string, yLabel: string, lines: Line[], diagonal?: boolean }} chart */
export function createLineChart(svg, chart) {
  let shown = chart;
  const redraw = responsive(svg, (width) => drawLines(svg, shown, width));
  redraw();
  return {
    /** @param {typeof chart} next */
    set(next) {
      shown = next;
      redraw();
    },
  };
}

/** @param {SVGElement} svg @param {{ title: string, xLabel: string, yLabel: string, lines: Line[], diagonal?: boolean }} chart @param {number} width */
function drawLines(svg, { title, xLabel, yLabel, lines, diagonal }, width) {
  const { x, y } = begin(svg, title, width);
  for (const tick of TICKS) {
    addLine(svg, [x(tick), y(0)], [x(tick), y(1)]);
    addLine(svg, [x(0), y(tick)], [x(1), y(tick)]);
    addText(svg, String(tick), x(tick), y(0) + 16, "middle");
    addText(svg, String(tick), EDGE.left - 8, y(tick) + 4, "end");
  }
  addText(svg, xLabel, x(1), HEIGHT - 6, "end");
  addText(svg, yLabel, EDGE.left - 26, 12, "start");
  if (diagonal) addLine(svg, [x(0), y(0)], [x(1), y(1)], "ev-diagonal");
  for (const { name, x: xs, y: ys, place } of lines) {
    const points = xs.map((value, i) => [value, ys[i]]).filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b));
    const path = makeSvg("path", `ev-line ev-model-${place}`, svg);
    path.setAttribute("d", points.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join(""));
    makeSvg("title", "", path).textContent = name;
  }
  if (lines.length > 1) lines.forEach(({ place }, i) => addKey(svg, x(1) - KEY_WIDTH * (lines.length - i), place));
  for (const { place, mark, best } of lines) {
    if (best) addDot(svg, x(best[0]), y(best[1]), 7, `ev-best ev-model-${place}`);
    if (mark) addDot(svg, x(mark[0]), y(mark[1]), 5, `ev-mark ev-model-${place}`);
  }
}

/** The number at the top of the histogram; a few bars of wrong detections go on above it where the right ones could not be seen otherwise. @param {number[]} right @param {number[]} wrong */
export function histogramTop(right, wrong) {
  const most = Math.max(1, ...right.map((count, i) => count + wrong[i]));
  return Math.min(most, 4 * Math.max(...right) || most);
}

/**
 * Right (blue) and wrong (orange) detections by score.
 * @param {SVGElement} svg
 * @param {string} title
 * @param {number[]} right
 * @param {number[]} wrong
 * @param {number} width
 */
export function drawHistogram(svg, title, right, wrong, width) {
  const { x, y } = begin(svg, title, width);
  const most = histogramTop(right, wrong);
  for (const tick of TICKS) addText(svg, String(tick), x(tick), y(0) + 16, "middle");
  addLine(svg, [x(0), y(1)], [x(1), y(1)]);
  addText(svg, most.toLocaleString("en"), EDGE.left - 8, y(1) + 4, "end");
  addText(svg, "0", EDGE.left - 8, y(0) + 4, "end");
  addText(svg, "Score", x(1), HEIGHT - 6, "end");
  addText(svg, "Detections", EDGE.left - 26, 12, "start");
  right.forEach((count, i) => {
    const [from, to] = [x(i / right.length) + 1, x((i + 1) / right.length) - 1];
    const top = y(Math.min(1, (count + wrong[i]) / most));
    const bars = [addRect(svg, from, top, to - from, y(count / most) - top, "ev-wrong"), addRect(svg, from, y(count / most), to - from, y(0) - y(count / most), "ev-right")];
    for (const bar of bars) makeSvg("title", "", bar).textContent = `${(i / right.length).toFixed(2)}–${((i + 1) / right.length).toFixed(2)}: ${count} right, ${wrong[i]} wrong`;
  });
  addLine(svg, [x(0), y(0)], [x(1), y(0)]);
}

/**
 * AP against the time for an image, which has a logarithmic axis.
 * @param {SVGElement} svg
 * @param {{ place: number, letter: string, title: string, ms: number, ap: number }[]} dots
 * @param {number} width
 */
export function drawAccuracyTime(svg, dots, width) {
  const { y: part } = begin(svg, `AP by time of an image: ${dots.map(({ title, ms, ap }) => `${title} ${ap.toFixed(3)} in ${Math.round(ms)} ms`).join(", ")}`, width);
  const [low, high] = [Math.log(Math.min(...dots.map(({ ms }) => ms)) / 1.6), Math.log(Math.max(...dots.map(({ ms }) => ms)) * 1.6)];
  const x = (/** @type {number} */ ms) => EDGE.left + ((Math.log(ms) - low) / (high - low)) * (width - EDGE.left - EDGE.right);
  const most = Math.max(...dots.map(({ ap }) => ap));
  const top = [0.1, 0.2, 0.4, 0.6, 0.8].find((value) => value > 1.1 * most) ?? 1;
  const y = (/** @type {number} */ ap) => part(ap / top);
  const ticks = [1, 10, 100, 1000, 10000].flatMap((ten) => [ten, 2 * ten, 5 * ten]).filter((ms) => Math.log(ms) > low && Math.log(ms) < high);
  for (const ms of ticks) {
    addLine(svg, [x(ms), part(0)], [x(ms), part(1)]);
    addText(svg, ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`, x(ms), y(0) + 16, "middle");
  }
  for (const quarter of [0, 0.25, 0.5, 0.75, 1]) {
    addLine(svg, [EDGE.left, part(quarter)], [width - EDGE.right, part(quarter)]);
    addText(svg, String(Number((quarter * top).toFixed(3))), EDGE.left - 8, part(quarter) + 4, "end");
  }
  addText(svg, "Time of an image", width - EDGE.right, HEIGHT - 6, "end");
  addText(svg, "AP", EDGE.left - 26, 12, "start");
  for (const { place, letter, ms, ap, title } of dots) {
    const dot = addDot(svg, x(ms), y(ap), 6, `ev-mark ev-model-${place}`);
    makeSvg("title", "", dot).textContent = title;
    addText(svg, letter, x(ms) + 10, y(ap) - 8, "start", "ev-name");
  }
}

/** @param {SVGElement} svg @param {string} title @param {number} width */
function begin(svg, title, width) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute("aria-label", title);
  const x = (/** @type {number} */ value) => EDGE.left + value * (width - EDGE.left - EDGE.right);
  const y = (/** @type {number} */ value) => HEIGHT - EDGE.bottom - value * (HEIGHT - EDGE.top - EDGE.bottom);
  return { x, y };
}

/** Which model a line is of. @param {SVGElement} svg @param {number} left @param {number} place */
function addKey(svg, left, place) {
  makeSvg("path", `ev-line ev-model-${place}`, svg).setAttribute("d", `M${left} 8h24`);
  addText(svg, letterOf(place), left + 29, 12, "start", "ev-name");
}

/** @param {SVGElement} svg @param {Point} from @param {Point} to */
function addLine(svg, [x1, y1], [x2, y2], className = "ev-grid") {
  makeSvg("path", className, svg).setAttribute("d", `M${x1} ${y1}L${x2} ${y2}`);
}

/** @param {SVGElement} svg @param {number} cx @param {number} cy @param {number} r @param {string} className */
function addDot(svg, cx, cy, r, className) {
  const dot = makeSvg("circle", className, svg);
  for (const [name, value] of Object.entries({ cx, cy, r })) dot.setAttribute(name, String(value));
  return dot;
}

/** @param {SVGElement} svg @param {number} x @param {number} y @param {number} width @param {number} height @param {string} className */
function addRect(svg, x, y, width, height, className) {
  const rect = makeSvg("rect", className, svg);
  for (const [name, value] of Object.entries({ x, y, width: Math.max(width, 0), height: Math.max(height, 0) })) rect.setAttribute(name, String(value));
  return rect;
}

/** @param {SVGElement} svg @param {string} text @param {number} x @param {number} y @param {string} anchor */
function addText(svg, text, x, y, anchor, className = "ev-tick") {
  const node = makeSvg("text", className, svg);
  for (const [name, value] of Object.entries({ x, y, "text-anchor": anchor })) node.setAttribute(name, String(value));
  node.textContent = text;
}
