// A sheet over an image: the drawing and the labels of one set of objects, of which some are shown.
// Besides what is drawn, every object has `refs`, [model id, index] of the objects that it stands for, and a `label`.

import { make, makeSvg } from "../components/js/dom.js";
import { objectAt } from "../components/js/geometry.js";
import { createLabels } from "../components/js/labels.js";
import { OVERLAY_LAYERS, createOverlay } from "../components/js/overlay.js";

/** @param {HTMLElement} parent */
export function createSheet(parent) {
  const root = make("div", "cv-sheet");
  const svg = makeSvg("svg", "dv-overlay", root);
  const layer = make("div", "dv-labels");
  root.append(layer);
  root.setAttribute("aria-hidden", "true");
  parent.append(root);
  const overlay = createOverlay(svg);
  const labels = createLabels(layer);
  /** @type {Compared[]} */
  let objects = [];
  /** @type {Set<number>} */
  let shown = new Set();
  /** @type {number[]} */
  let active = [];
  let hasLabels = true;

  /** @param {Drawing<Compared> | null} result */
  function setObjects(result) {
    objects = result?.objects ?? [];
    shown = new Set();
    active = [];
    overlay.setObjects(result);
    labels.setObjects(objects, (object) => object.label);
  }

  /** @param {Iterable<number>} indices */
  function setShown(indices) {
    const next = new Set(indices);
    for (const i of shown) if (!next.has(i)) overlay.setVisible(i, false);
    for (const i of next) if (!shown.has(i)) overlay.setVisible(i, true);
    shown = next;
  }

  /** @param {Style} settings @param {string[]} layers */
  function draw(settings, layers) {
    for (const name of OVERLAY_LAYERS) overlay.setLayer(name, layers.includes(name));
    overlay.setOpacity(settings.opacity);
    overlay.setKeypointThreshold(settings.keypoint_threshold);
    hasLabels = layers.includes("labels");
  }

  /**
   * Emphasises the objects that stand for `group`, a Map from model id to index; where there are none, all are dimmed.
   * @param {Map<string, number>} group
   */
  function setActive(group) {
    const isMember = (/** @type {Compared} */ { refs }) => refs.some(([id, index]) => group.get(id) === index);
    active = group.size ? objects.flatMap((object, i) => (isMember(object) ? [i] : [])) : [];
    /** @type {number[]} */
    const emphasised = group.size && !active.length ? [-1] : active;
    overlay.setActive(emphasised);
    labels.setActive(emphasised);
  }

  /** @param {ReturnType<typeof import("../components/js/viewport.js").createViewport>} viewport */
  function layLabels(viewport) {
    const { width, height } = viewport.size();
    const order = hasLabels ? [...new Set([...active.filter((i) => shown.has(i)), ...shown])] : [];
    labels.layout(order, (i) => viewport.toFrame(objects[i].box), width, height);
  }

  return {
    root,
    setObjects,
    setShown,
    draw,
    setActive,
    layLabels,
    shownObjects: () => [...shown].map((i) => objects[i]),
    activeObjects: () => active.flatMap((i) => (shown.has(i) ? [objects[i]] : [])),
    setCamera: overlay.setCamera,
    objectUnder: (/** @type {number[]} */ [x, y], /** @type {number} */ slack) => objects[objectAt(objects, (i) => shown.has(i), x, y, slack)] ?? null,
  };
}
