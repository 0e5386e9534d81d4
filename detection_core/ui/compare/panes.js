// A pane: one image in its frame with sheets over it, its caption, and a view of the image that all panes share.

import { createSheet } from "./sheet.js";
import { clamp, collectRefs, formatScore, oncePerFrame, setText, shorten, show } from "../components/js/dom.js";
import { listenForObjectKeys } from "../components/js/object_keys.js";
import { createViewport } from "../components/js/viewport.js";

/** @typedef {import("../components/js/viewport.js").Camera} Camera */

/**
 * @typedef {object} Pane
 * @property {Refs} ui its elements
 * @property {ReturnType<typeof createSheet>[]} sheets two
 * @property {ReturnType<typeof createViewport>} viewport
 * @property {() => void} layLabelsSoon
 * @property {() => boolean} isVisible
 * @property {(source: Pick<CompareSource, "image" | "width" | "height">) => void} setImage
 * @property {(share: number | null) => void} setSplit shows the first sheet left and the second right of a share of the width; null shows
 *   both everywhere
 * @property {(group: Map<string, number>) => void} setActive
 * @property {(text: string) => void} setRemark
 * @property {(text: string) => void} setCallout
 */

/**
 * @param {HTMLTemplateElement} template the pane's markup
 * @param {{ onHover: (object: Compared | null) => void, onSelect: (object: Compared | null) => void, onCamera: (pane: Pane, camera: Camera) => void, onSay: (words: string) => void }} handlers; `onHover` called with the object under the pointer, or null; `onSelect` called with the object that was clicked, or null; `onCamera` called when the visitor moves this pane's camera, or its room changes; `onSay` called with what screen readers shall say
 * @returns {Pane}
 */
export function createPane(template, { onHover, onSelect, onCamera, onSay }) {
  const root = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
  /** @type {Refs} */
  const ui = { ...collectRefs(root), root };
  const sheets = [createSheet(ui.sheets), createSheet(ui.sheets)];
  const viewport = createViewport(ui.frame, follow, (point) => onSelect(objectUnder(point)));
  const layLabelsSoon = oncePerFrame(() => isVisible() && sheets.forEach((sheet) => sheet.layLabels(viewport)));
  /** @type {number | null} */
  let split = null;
  /** The object that the keys chose last. @type {Compared | undefined} */
  let reached;

  const isVisible = () => viewport.size().width > 1;

  /** @param {Camera} camera */
  function follow(camera) {
    ui.image.style.transform = `translate(${camera.x}px, ${camera.y}px) scale(${camera.scale})`;
    sheets.forEach((sheet) => sheet.setCamera(camera));
    layLabelsSoon();
    if (isVisible()) onCamera(pane, camera);
  }

  /** @param {Point} point */
  function objectUnder(point) {
    const slack = 4 / viewport.camera().scale;
    const isRight = split !== null && point[0] > split * viewport.size().width;
    return sheets[Number(isRight)].objectUnder(viewport.toImage(point), slack);
  }

  /** An object that the keys chose is emphasized together with its partners. */
  function current() {
    const active = sheets.flatMap((sheet) => sheet.activeObjects());
    return reached && active.includes(reached) ? reached : active[0];
  }

  /** @param {any} event */
  function pointAt(event) {
    if (event.pointerType !== "mouse" || viewport.isDragging() || event.target.closest("button, .dv-callout, .cv-failure")) return leave();
    const point = viewport.framePoint(event);
    const object = objectUnder(point);
    onHover(object);
    ui.frame.classList.toggle("dv-pointing", object !== null);
    show(ui.tooltip, object !== null);
    if (object) placeTooltip(object, point);
  }

  /** @param {Compared} object @param {Point} point */
  function placeTooltip(object, [px, py]) {
    const [x1, y1, x2, y2] = object.box;
    setText(ui.tooltip, object.tip ?? `${shorten(object.name)} · ${formatScore(object.score)} · ${Math.round(x2 - x1)}×${Math.round(y2 - y1)} px`);
    const { width, height } = viewport.size();
    const x = clamp(px + 14, 4, Math.max(width - ui.tooltip.offsetWidth - 4, 4));
    ui.tooltip.style.transform = `translate(${Math.round(x)}px, ${Math.round(py + 44 > height ? py - 38 : py + 16)}px)`;
  }

  function leave() {
    onHover(null);
    show(ui.tooltip, false);
    ui.frame.classList.remove("dv-pointing");
  }

  ui.frame.addEventListener("pointermove", pointAt);
  ui.frame.addEventListener("pointerleave", leave);
  listenForObjectKeys(ui.frame, viewport, {
    shown: () => sheets.flatMap((sheet) => sheet.shownObjects()),
    current,
    choose(object, place) {
      reached = object;
      onSelect(object);
      onSay(`${object.tip ?? object.label}, ${place}`);
    },
  });

  /** @type {Pane} */
  const pane = {
    ui,
    sheets,
    viewport,
    layLabelsSoon,
    isVisible,
    setImage({ image, width, height }) {
      ui.image.src = image.url;
      Object.assign(ui.image, { width, height });
      root.style.setProperty("--aspect", `${width} / ${height}`);
      viewport.setImage(width, height);
    },
    setSplit(share) {
      split = share;
      root.classList.toggle("cv-split", share !== null);
      if (share !== null) root.style.setProperty("--split", `${100 * share}%`);
    },
    setActive(group) {
      sheets.forEach((sheet) => sheet.setActive(group));
      layLabelsSoon();
    },
    setRemark(text) {
      setText(ui.remark, text);
      show(ui.remark, text !== "");
    },
    setCallout(text) {
      setText(ui.callout, text);
      show(ui.callout, text !== "");
    },
  };
  return pane;
}

/**
 * The part of the image that a pane shows, for the other panes: {zoom, center} in image coordinates.
 * @param {Pane} pane
 */
export function positionOf({ viewport }) {
  const { width, height } = viewport.size();
  return { zoom: viewport.camera().zoom, center: viewport.toImage([width / 2, height / 2]) };
}
