// The image with what is drawn over it: which objects are shown, which one is under the pointer or selected, zoom, labels and tooltip.

import { clamp, formatScore, oncePerFrame, setText, shorten, show } from "../components/js/dom.js";
import { objectAt } from "../components/js/geometry.js";
import { createLabels, labelText } from "../components/js/labels.js";
import { listenForObjectKeys } from "../components/js/object_keys.js";
import { OVERLAY_LAYERS, createOverlay } from "../components/js/overlay.js";
import { createViewport } from "../components/js/viewport.js";

const MOST_CENTERED = 6;

/**
 * @param {Refs} ui the view's elements
 * @param {{ onActive: (indices: number[]) => void, onSelected: (index: number) => void, onCamera: (camera: any) => void, onSay: (words: string) => void, partnersOf?: (index: number) => number[] }} handlers called with the
 *   objects that are emphasized, which one is selected, -1 for none, the camera after every change, and what screen readers shall read out;
 *   `partnersOf` says which others are emphasized with the selected one
 */
export function createImage(ui, { onActive, onSelected, onCamera, onSay, partnersOf = () => [] }) {
  const overlay = createOverlay(ui.overlay);
  const labels = createLabels(ui.labels);
  const viewport = createViewport(ui.frame, moveCamera, (point) => select(objectUnder(point)));
  const layLabelsSoon = oncePerFrame(layLabels);
  /** @type {Drawn[]} */
  let objects = [];
  /** @type {boolean[]} */
  let shown = [];
  let selected = -1;
  let hovered = -1;
  let hasLabels = true;

  /** @param {Point} point in the frame */
  const objectUnder = (point) => objectNear(viewport.toImage(point));

  /** @param {number[]} point in the image */
  function objectNear([x, y]) {
    return objectAt(objects, (i) => shown[i], x, y, 4 / viewport.camera().scale);
  }

  const visibleOnes = () => shown.flatMap((isShown, i) => (isShown ? [i] : []));

  /** @param {number} index */
  function hover(index) {
    if (index === hovered) return;
    hovered = index;
    emphasize();
  }

  /** @param {number} index */
  function select(index) {
    if (index === selected) return;
    selected = index;
    onSelected(index);
    emphasize();
  }

  function emphasize() {
    const active = [...new Set([hovered, selected, ...(selected >= 0 ? partnersOf(selected) : [])])].filter((index) => index >= 0);
    overlay.setActive(active);
    labels.setActive(active);
    onActive(active);
    layLabelsSoon();
  }

  function layLabels() {
    if (!objects.length) return;
    const visible = visibleOnes();
    const first = [hovered, selected].filter((index) => index >= 0 && shown[index]);
    const order = hasLabels ? [...new Set([...first, ...visible])] : [];
    const { width, height } = viewport.size();
    labels.layout(order, (i) => viewport.toFrame(objects[i].box), width, height);
  }

  /** @param {import("../components/js/viewport.js").Camera} camera */
  function moveCamera(camera) {
    ui.image.style.transform = `translate(${camera.x}px, ${camera.y}px) scale(${camera.scale})`;
    overlay.setCamera(camera);
    onCamera(camera);
    setText(ui.zoomFit, `${Math.round(100 * camera.zoom)}%`);
    ui.zoomOut.disabled = camera.zoom <= 1;
    layLabelsSoon();
  }

  /** @param {any} event of the pointer */
  function pointAt(event) {
    if (event.pointerType !== "mouse" || viewport.isDragging() || event.target.closest("button, .dv-callout")) return leave();
    const point = viewport.framePoint(event);
    const index = objectUnder(point);
    hover(index);
    ui.frame.classList.toggle("dv-pointing", index >= 0);
    show(ui.tooltip, index >= 0);
    if (index < 0) return;
    const { name, score, annotated, box: [x1, y1, x2, y2] } = objects[index];
    setText(ui.tooltip, `${shorten(name)} · ${annotated ? "annotated" : formatScore(score)} · ${Math.round(x2 - x1)}×${Math.round(y2 - y1)} px`);
    const { width, height } = viewport.size();
    const x = clamp(point[0] + 14, 4, Math.max(width - ui.tooltip.offsetWidth - 4, 4));
    const y = point[1] + 44 > height ? point[1] - 38 : point[1] + 16;
    ui.tooltip.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }

  function leave() {
    hover(-1);
    show(ui.tooltip, false);
    ui.frame.classList.remove("dv-pointing");
  }

  ui.frame.addEventListener("pointermove", pointAt);
  ui.frame.addEventListener("pointerleave", leave);
  listenForObjectKeys(ui.frame, viewport, {
    shown: visibleOnes,
    current: () => selected,
    choose(index, place) {
      select(index);
      onSay(`${labelText(objects[index])}, ${place}`);
    },
  });
  ui.zoomIn.addEventListener("click", viewport.zoomIn);
  ui.zoomOut.addEventListener("click", viewport.zoomOut);
  ui.zoomFit.addEventListener("click", viewport.fit);

  return {
    /**
     * Shows the image of a message; gives whether it is another one than before.
     * @param {Pick<DetectMessage, "width" | "height"> & { image: FileData }} message
     */
    setImage({ image, width, height }) {
      const isNew = ui.image.getAttribute("src") !== image.url;
      ui.image.src = image.url;
      show(ui.image, true);
      show(ui.placeholder, false);
      ui.frame.style.setProperty("--aspect", `${width} / ${height}`);
      Object.assign(ui.image, { width, height });
      if (isNew) viewport.setImage(width, height);
      return isNew;
    },
    clear() {
      show(ui.image, false);
      ui.image.removeAttribute("src");
      show(ui.placeholder, true);
    },
    /** @param {DetectResult | null} result null for none */
    setObjects(result) {
      objects = result?.objects ?? [];
      shown = objects.map(() => false);
      hovered = selected = -1;
      overlay.setObjects(result);
      labels.setObjects(objects, labelText);
    },
    /**
     * Shows or hides an object; gives whether that is a change.
     * @param {number} index
     * @param {boolean} visible
     */
    setVisible(index, visible) {
      if (visible === shown[index]) return false;
      shown[index] = visible;
      overlay.setVisible(index, visible);
      return true;
    },
    /** What is no longer shown is neither selected nor under the pointer. */
    forgetHidden() {
      if (selected >= 0 && !shown[selected]) select(-1);
      if (hovered >= 0 && !shown[hovered]) hover(-1);
    },
    /** @param {Style} style */
    setStyle(style) {
      for (const layer of OVERLAY_LAYERS) overlay.setLayer(layer, Boolean(style[layer]));
      overlay.setOpacity(style.opacity);
      hasLabels = Boolean(style.labels);
    },
    setKeypointThreshold: overlay.setKeypointThreshold,
    objectNear,
    toImage: (/** @type {MouseEvent} */ event) => viewport.toImage(viewport.framePoint(event)),
    /** Pans to a point of the image that lies outside the frame. @param {number[]} point */
    reveal([x, y]) {
      const [left, top] = viewport.toFrame([x, y, x, y]);
      const { width, height } = viewport.size();
      const isVisible = left >= 0 && top >= 0 && left <= width && top <= height;
      if (!isVisible) viewport.moveTo({ zoom: viewport.camera().zoom, center: [x, y] });
    },
    isShown: (/** @type {number} */ index) => shown[index],
    selected: () => selected,
    select,
    hover,
    /** Moves to an object, so that a small one takes a third of the frame. @param {number} index */
    center(index) {
      const [x1, y1, x2, y2] = objects[index].box;
      const { width, height } = viewport.size();
      const { scale, zoom } = viewport.camera();
      const fits = Math.min(width / Math.max(x2 - x1, 1), height / Math.max(y2 - y1, 1)) / (scale / zoom);
      viewport.moveTo({ zoom: Math.min(fits / 3, MOST_CENTERED), center: [(x1 + x2) / 2, (y1 + y2) / 2] });
    },
    emphasize,
    layLabels,
    measure: viewport.measure,
  };
}
