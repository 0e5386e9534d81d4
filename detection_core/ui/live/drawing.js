// What is drawn over the camera's image: the objects of the newest answer, which move on until the next one, their labels and numbers.

import { inWords } from "../components/js/class_counts.js";
import { formatScore, oncePerFrame, shorten } from "../components/js/dom.js";
import { createAnnouncer, writeStatus } from "../components/js/feedback.js";
import { objectArea } from "../components/js/geometry.js";
import { createLabels } from "../components/js/labels.js";
import { OVERLAY_LAYERS, createOverlay } from "../components/js/overlay.js";
import { createCounts } from "./counts.js";
import { createMotion } from "./motion.js";

const ANNOUNCE_DELAY = 2000;
const CLASSES_IN_SUMMARY = 5;

/** @typedef {Drawn & LiveObject} Followed */
/** @typedef {LiveFrame & { received: number }} Answered the frame that an answer is about, and when that came */

/**
 * @param {Refs} ui
 * @param {{ start: LiveStart | null, settings: LiveSettings }} state
 * @param {{ isMirrored: () => boolean, isRunning: () => boolean, onDrawn: (result: LiveResult, frame: Answered, now: number) => void }} view
 */
export function createDrawing(ui, state, { isMirrored, isRunning, onDrawn }) {
  const overlay = createOverlay(ui.overlay);
  const labels = createLabels(ui.labels);
  const motion = createMotion(move);
  const counts = createCounts(ui);
  const room = { width: 1, height: 1 };
  /** The newest answer. @type {{ result: LiveResult, frame: Answered, objects: Followed[], drawn: boolean } | null} */
  let answer = null;
  /** @type {boolean[]} */
  let shown = [];
  const drawAnswerSoon = oncePerFrame(drawAnswer);
  const redrawSoon = oncePerFrame(redraw);
  const announcer = createAnnouncer(ui.announcer, () => (isRunning() ? summary() : ""), ANNOUNCE_DELAY);

  /** @param {LiveResult} result @param {Answered} frame */
  function take(result, frame) {
    const categories = state.start?.categories ?? {};
    const objects = result.objects.map((object) => ({
      ...object, name: categories[object.class_id]?.name ?? `class ${object.class_id}`, area: objectArea(object), number: object.track || undefined,
    }));
    answer = { result, frame, objects, drawn: false };
    drawAnswerSoon();
  }

  function drawAnswer() {
    if (!answer || answer.drawn || !state.start) return;
    const { result, frame, objects } = answer;
    answer.drawn = true;
    writeStatus(ui, null);
    // First the labels, which ask for the font: after other changes the browser would have to style the page for that.
    labels.setObjects(objects, liveLabel);
    overlay.setObjects({ objects, edges: state.start.edges, keypoint_names: state.start.keypoint_names });
    overlay.setKeypointThreshold(state.settings.keypoint_threshold);
    motion.follow(objects, frame.time);
    shown = objects.map(() => false);
    redraw();
    motion.step(performance.now());
    onDrawn(result, frame, performance.now());
  }

  function forget() {
    answer = null;
    shown = [];
    overlay.setObjects(null);
    labels.setObjects([], liveLabel);
    motion.follow([], 0);
    redraw();
  }

  /** The tracker keeps what it follows although its score falls; what it has not taken up would only flicker. @param {Followed} object */
  function isVisible({ score, track }) {
    if (!answer) return false;
    const { threshold } = state.settings;
    const { frame } = answer;
    const isStronger = score >= threshold - 1e-6;
    if (!frame.stable) return isStronger;
    const isLower = threshold < frame.threshold - 1e-6;
    return track ? isStronger || threshold <= frame.threshold + 1e-6 : isStronger && isLower;
  }

  /** Everything but the objects' own places, which an answer brings and `move` changes. */
  function redraw() {
    const { start, settings } = state;
    if (!start) return;
    for (const layer of OVERLAY_LAYERS) overlay.setLayer(layer, Boolean(settings[layer]));
    overlay.setOpacity(settings.opacity);
    overlay.setCamera(place());
    shown = (answer?.drawn ? answer.objects : []).map(isVisible);
    shown.forEach((visible, i) => overlay.setVisible(i, visible));
    layLabels();
    drawCounts();
  }

  const visibleObjects = () => (answer?.objects ?? []).filter((_, i) => shown[i]);

  function drawCounts() {
    /** @type {Record<string, number>} */
    const inView = {};
    for (const { name } of visibleObjects()) inView[name] = (inView[name] ?? 0) + 1;
    counts.draw(inView, state.settings.stable ? answer?.result.total ?? {} : null);
    const text = summary();
    if (text === ui.overlay.dataset.summary) return;
    ui.overlay.dataset.summary = text;
    announcer.summarizeSoon();
  }

  function summary() {
    /** @type {Map<number, number>} */
    const numbers = new Map();
    for (const { class_id: id } of visibleObjects()) numbers.set(id, (numbers.get(id) ?? 0) + 1);
    return inWords(numbers, state.start?.categories ?? {}, CLASSES_IN_SUMMARY);
  }

  /** Where the image lies in its frame: screen = image · scale + (x, y). */
  function place() {
    const { width, height } = answer?.result ?? { width: 4, height: 3 };
    const scale = Math.min(room.width / width, room.height / height);
    return { scale, x: (room.width - width * scale) / 2, y: (room.height - height * scale) / 2 };
  }

  function layLabels() {
    const { scale, x, y } = place();
    const toFrame = (/** @type {Box} */ [x1, y1, x2, y2]) => {
      const [left, top, right, bottom] = [x1 * scale + x, y1 * scale + y, x2 * scale + x, y2 * scale + y];
      return isMirrored() ? [room.width - right, top, room.width - left, bottom] : [left, top, right, bottom];
    };
    const order = state.settings.labels ? shown.flatMap((visible, i) => (visible ? [i] : [])) : [];
    const objects = answer?.objects ?? [];
    labels.layout(order, (i) => toFrame(objects[i].box), room.width, room.height);
  }

  /** @param {number} index @param {number} dx @param {number} dy */
  function move(index, dx, dy) {
    const { scale } = place();
    overlay.setMotion(index, dx, dy);
    labels.setMotion(index, dx * scale * (isMirrored() ? -1 : 1), dy * scale);
  }

  new ResizeObserver(() => {
    Object.assign(room, { width: ui.frame.clientWidth, height: ui.frame.clientHeight });
    redrawSoon();
  }).observe(ui.frame);

  return { take, forget, redraw, redrawSoon, step: motion.step, hasAnswer: () => answer !== null };
}

/** @param {Followed} object */
function liveLabel({ name, score, track }) {
  return `${shorten(name)}${track ? ` #${track}` : ""} ${formatScore(score)}`;
}
