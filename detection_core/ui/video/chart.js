// Counts over time: a line a class, a playhead that follows the video, and a slider in one: pointing reads, clicking and keys seek.

import { clamp, makeSvg, setAttribute, setText, show } from "../components/js/dom.js";
import { countTicks, frameAt, seenAt, seriesEnd, steps, timeTicks } from "./series.js";
import { clockTime } from "./words.js";

const CHART_HEIGHT = 168;
const CHART_MARGIN = { left: 28, right: 12, top: 10, bottom: 24 };
const CHART_TICK_ROOM = 72;

/**
 * @param {HTMLElement} track the element that is pointed at and has the focus; holds an <svg>, a playhead and a tooltip
 * @param {{ onSeek: (seconds: number) => void, onToggle: () => void }} handlers
 */
export function createVideoChart(track, { onSeek, onToggle }) {
  const svg = /** @type {SVGElement} */ (track.querySelector("svg"));
  const head = /** @type {HTMLElement} */ (track.querySelector(".vv-playhead"));
  const ghost = /** @type {HTMLElement} */ (track.querySelector(".vv-ghost"));
  const tooltip = /** @type {HTMLElement} */ (track.querySelector(".dv-tooltip"));
  /** What is drawn; nothing below is called without it. @type {any} */
  let series = null;
  let width = 0;
  let now = 0;

  const span = () => width - CHART_MARGIN.left - CHART_MARGIN.right;
  /** @param {number} time */
  const toX = (time) => CHART_MARGIN.left + clamp(time / series.seconds, 0, 1) * span();
  /** @param {number} x */
  const toTime = (x) => clamp((x - CHART_MARGIN.left) / span(), 0, 1) * series.seconds;

  function draw() {
    width = track.clientWidth;
    svg.replaceChildren();
    if (!series || width < 100) return;
    svg.setAttribute("viewBox", `0 0 ${width} ${CHART_HEIGHT}`);
    const most = Math.max(1, ...series.lines.map((/** @type {VideoClass} */ { counts }) => counts.reduce((a, b) => Math.max(a, b), 0)));
    const ticks = countTicks(most);
    const base = CHART_HEIGHT - CHART_MARGIN.bottom;
    const toY = (/** @type {number} */ count) => base - (count / ticks[ticks.length - 1]) * (base - CHART_MARGIN.top);
    drawUnseen(base);
    for (const tick of ticks) {
      line("vv-grid", `M${CHART_MARGIN.left} ${toY(tick)}H${width - CHART_MARGIN.right}`);
      text(String(tick), CHART_MARGIN.left - 8, toY(tick) + 4, "end");
    }
    for (const tick of timeTicks(series.seconds, span() / CHART_TICK_ROOM)) {
      line("vv-grid", `M${toX(tick)} ${base}v4`);
      text(clockTime(tick), toX(tick), CHART_HEIGHT - 4, toX(tick) > width - 28 ? "end" : "middle");
    }
    // The most frequent class on top.
    [...series.lines.keys()].reverse().forEach((i) => drawLine(series.lines[i], i, toY, base));
    drawHead();
  }

  /** @param {number} base */
  function drawUnseen(base) {
    const from = toX(series.end);
    if (width - CHART_MARGIN.right - from < 3) return;
    const box = makeSvg("rect", "vv-unseen", svg);
    for (const [name, value] of Object.entries({ x: from, y: CHART_MARGIN.top, width: width - CHART_MARGIN.right - from, height: base - CHART_MARGIN.top })) box.setAttribute(name, String(value));
    if (width - from > 110) text("not processed", from + 8, CHART_MARGIN.top + 14, "start");
  }

  /** @param {VideoClass} shown @param {number} index @param {(count: number) => number} toY @param {number} base */
  function drawLine({ counts, color }, index, toY, base) {
    // Lines of the same count lie beside each other.
    const shift = (index - (series.lines.length - 1) / 2) * 2;
    const points = steps(series.times, counts, series.seconds / span());
    let path = "";
    for (const [time, count] of points) path += path ? `H${toX(time)}V${toY(count) - shift}` : `M${toX(time)} ${toY(count) - shift}`;
    path += `H${toX(series.end)}`;
    if (series.lines.length === 1) line("vv-area", `${path}V${base}H${toX(points[0]?.[0] ?? 0)}Z`).style.setProperty("--color", color);
    line("vv-line", path).style.setProperty("--color", color);
  }

  /** @param {string} className @param {string} path */
  function line(className, path) {
    const node = makeSvg("path", className, svg);
    node.setAttribute("d", path);
    return node;
  }

  /** @param {string} content @param {number} x @param {number} y @param {string} anchor */
  function text(content, x, y, anchor) {
    const node = makeSvg("text", "vv-tick", svg);
    for (const [name, value] of Object.entries({ x, y, "text-anchor": anchor })) node.setAttribute(name, String(value));
    node.textContent = content;
  }

  function drawHead() {
    if (!series || !width) return;
    head.style.transform = `translateX(${toX(now)}px)`;
    const index = frameAt(series.times, now);
    setAttribute(track, "aria-valuenow", now.toFixed(2));
    setAttribute(track, "aria-valuetext", `${clockTime(now, true)}: ${wordsAt(index, now)}`);
  }

  /** @param {number} index @param {number} time */
  function wordsAt(index, time) {
    return time >= series.end + 1e-3 ? "not processed" : seenAt(series.lines, index);
  }

  /** @param {PointerEvent} event */
  function point(event) {
    const x = event.clientX - track.getBoundingClientRect().left;
    const time = toTime(x);
    show(ghost, true);
    show(tooltip, true);
    ghost.style.transform = `translateX(${toX(time)}px)`;
    setText(tooltip, `${clockTime(time, true)} · ${wordsAt(frameAt(series.times, time), time)}`);
    const left = clamp(toX(time) + 10, 4, Math.max(4, width - tooltip.offsetWidth - 4));
    tooltip.style.transform = `translate(${Math.round(left)}px, 4px)`;
    return time;
  }

  function leave() {
    show(ghost, false);
    show(tooltip, false);
  }

  track.addEventListener("pointermove", (event) => {
    if (!series) return;
    const time = point(event);
    if (event.buttons & 1) onSeek(time);
  });
  track.addEventListener("pointerdown", (event) => {
    if (!series || event.button) return;
    track.setPointerCapture(event.pointerId);
    onSeek(point(event));
  });
  track.addEventListener("pointerleave", leave);
  track.addEventListener("pointerup", (event) => event.pointerType !== "mouse" && leave());
  track.addEventListener("keydown", (event) => {
    if (!series) return;
    const { times, seconds } = series;
    const at = frameAt(times, now);
    const jump = Math.max(1, seconds / 10);
    /** @type {Record<string, number>} */
    const goals = {
      ArrowLeft: times[Math.max(0, at - 1)], ArrowDown: times[Math.max(0, at - 1)],
      ArrowRight: times[Math.min(times.length - 1, at + 1)], ArrowUp: times[Math.min(times.length - 1, at + 1)],
      PageDown: Math.max(0, now - jump), PageUp: Math.min(seconds, now + jump), Home: 0, End: times[times.length - 1],
    };
    const goal = goals[event.key];
    if (event.key !== " " && goal === undefined) return;
    event.preventDefault();
    if (event.key === " ") onToggle();
    else onSeek(goal);
  });
  new ResizeObserver(draw).observe(track);

  return {
    /** `seconds` is the video's length; null for none. @param {{ times: number[], lines: VideoClass[], seconds: number } | null} shown */
    setSeries(shown) {
      series = shown && { ...shown, seconds: Math.max(shown.seconds, seriesEnd(shown.times)), end: seriesEnd(shown.times) };
      if (series) setAttribute(track, "aria-valuemax", series.seconds.toFixed(2));
      draw();
    },
    /** @param {number} time */
    setTime(time) {
      now = time;
      drawHead();
    },
  };
}
