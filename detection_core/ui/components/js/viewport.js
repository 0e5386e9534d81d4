// Zoom and pan of an image in its frame: Ctrl/⌘ + wheel, pinch, drag, double click, keys and buttons. A plain wheel scrolls the page.

import { clamp } from "./dom.js";

const MAX_ZOOM = 16;
const ZOOM_STEP = 1.5;
const TAP_SLOP = 5;
const KEY_STEP = 48;

/** @typedef {{ scale: number, x: number, y: number, zoom: number }} Camera screen = image · scale + (x, y) */

/**
 * @param {HTMLElement} frame element that shows the image and receives the pointer
 * @param {(camera: Camera) => void} onChange called after every change of the view with {scale, x, y, zoom}: screen = image · scale + (x, y)
 * @param {(point: Point) => void} onTap called with the frame coordinates of a click that was not a drag
 */
export function createViewport(frame, onChange, onTap) {
  const image = { width: 1, height: 1 };
  // Measured only when it may have changed: asking the page for sizes between changes makes it lay out again.
  const room = { width: 1, height: 1 };
  const view = { zoom: 1, x: 0, y: 0 };
  /** @type {Map<number, Point>} */
  const pointers = new Map();
  let traveled = 0;

  const fitScale = () => Math.min(room.width / image.width, room.height / image.height);
  const scale = () => fitScale() * view.zoom;
  const camera = () => ({ scale: scale(), x: view.x, y: view.y, zoom: view.zoom });

  /** Keeps the image over the frame, or in its middle where it is the smaller. */
  function update() {
    const along = (/** @type {number} */ offset, /** @type {number} */ size, /** @type {number} */ space) => (size <= space ? (space - size) / 2 : clamp(offset, space - size, 0));
    view.x = along(view.x, image.width * scale(), room.width);
    view.y = along(view.y, image.height * scale(), room.height);
    frame.classList.toggle("dv-zoomed", view.zoom > 1);
    onChange(camera());
  }

  /** @param {number} zoom @param {Point} [at] what stays where it is, in the frame */
  function zoomTo(zoom, [px, py] = [room.width / 2, room.height / 2]) {
    const before = scale();
    view.zoom = clamp(zoom, 1, MAX_ZOOM);
    // A frame in a closed tab has no size, and so no scale to compare with.
    const ratio = before > 0 ? scale() / before : 1;
    view.x = px - (px - view.x) * ratio;
    view.y = py - (py - view.y) * ratio;
    update();
  }

  /** Fits the image again where the frame may have changed. */
  function measure() {
    Object.assign(room, { width: frame.clientWidth, height: frame.clientHeight });
    update();
  }

  /** @param {MouseEvent} event @returns {Point} */
  function framePoint(event) {
    const rect = frame.getBoundingClientRect();
    return [event.clientX - rect.left, event.clientY - rect.top];
  }

  /** Center of all pressed pointers and how far they are from it. */
  function grip() {
    const points = [...pointers.values()];
    const center = /** @type {Point} */ ([0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length));
    const spread = points.reduce((sum, point) => sum + Math.hypot(point[0] - center[0], point[1] - center[1]), 0) / points.length;
    return { center, spread };
  }

  /** @param {PointerEvent} event */
  function press(event) {
    if (event.button !== 0 || /** @type {Element} */ (event.target).closest("button")) return;
    if (!pointers.size) traveled = 0;
    pointers.set(event.pointerId, framePoint(event));
  }

  /** @param {PointerEvent} event */
  function drag(event) {
    if (!pointers.has(event.pointerId)) return;
    const before = grip();
    pointers.set(event.pointerId, framePoint(event));
    const after = grip();
    traveled += Math.hypot(after.center[0] - before.center[0], after.center[1] - before.center[1]) + Math.abs(after.spread - before.spread);
    // Capturing only once it is a drag leaves clicks and the browser's own scrolling alone.
    if (traveled > TAP_SLOP && !frame.hasPointerCapture(event.pointerId)) frame.setPointerCapture(event.pointerId);
    view.x += after.center[0] - before.center[0];
    view.y += after.center[1] - before.center[1];
    if (pointers.size > 1 && before.spread > 0) zoomTo((view.zoom * after.spread) / before.spread, after.center);
    else if (view.zoom > 1) update();
  }

  /** @param {PointerEvent} event */
  function release(event) {
    pointers.delete(event.pointerId);
  }

  /** @param {KeyboardEvent} event */
  function steer(event) {
    /** @type {Record<string, Point>} */
    const pans = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const pan = pans[event.key];
    /** @type {Record<string, number>} */
    const zooms = { "+": view.zoom * ZOOM_STEP, "-": view.zoom / ZOOM_STEP, 0: 1 };
    const zoom = zooms[event.key];
    const isOurs = event.target === frame && !event.altKey && !event.ctrlKey && !event.metaKey && (zoom || (pan && view.zoom > 1));
    if (!isOurs) return;
    event.preventDefault();
    if (zoom) return zoomTo(zoom);
    view.x += pan[0] * KEY_STEP;
    view.y += pan[1] * KEY_STEP;
    update();
  }

  frame.addEventListener("keydown", steer);
  frame.addEventListener("pointerdown", press);
  frame.addEventListener("pointermove", drag);
  frame.addEventListener("pointerup", release);
  frame.addEventListener("pointercancel", release);
  frame.addEventListener("pointerleave", release);
  frame.addEventListener("click", (event) => {
    if (traveled <= TAP_SLOP && !/** @type {Element} */ (event.target).closest("button")) onTap(framePoint(event));
  });
  frame.addEventListener("dblclick", (event) => {
    if (!/** @type {Element} */ (event.target).closest("button")) zoomTo(view.zoom >= MAX_ZOOM ? 1 : view.zoom * 2, framePoint(event));
  });
  frame.addEventListener("dragstart", (event) => event.preventDefault());
  frame.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoomTo(view.zoom * Math.exp(-clamp(event.deltaY, -100, 100) / 200), framePoint(event));
    },
    { passive: false },
  );
  new ResizeObserver(measure).observe(frame);

  return {
    /** @param {number} width @param {number} height */
    setImage(width, height) {
      Object.assign(image, { width, height });
      zoomTo(1);
    },
    zoomIn: () => zoomTo(view.zoom * ZOOM_STEP),
    zoomOut: () => zoomTo(view.zoom / ZOOM_STEP),
    fit: () => zoomTo(1),
    /** Shows the same part of the image as another viewport: `center` in image coordinates. */
    /** @param {{ zoom: number, center: number[] }} goal */
    moveTo({ zoom, center }) {
      view.zoom = clamp(zoom, 1, MAX_ZOOM);
      view.x = room.width / 2 - center[0] * scale();
      view.y = room.height / 2 - center[1] * scale();
      update();
    },
    framePoint,
    isDragging: () => pointers.size > 0 && traveled > TAP_SLOP,
    /** Image coordinates of a point in the frame. */
    toImage: (/** @type {number[]} */ [px, py]) => [(px - view.x) / scale(), (py - view.y) / scale()],
    /** A box of the image in frame coordinates. */
    toFrame: (/** @type {Box} */ [x1, y1, x2, y2]) => {
      const s = scale();
      return [x1 * s + view.x, y1 * s + view.y, x2 * s + view.x, y2 * s + view.y];
    },
    camera,
    measure,
    size: () => room,
  };
}
