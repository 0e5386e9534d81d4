// The panes of a comparison: one per model side by side, and a single one for everything else; they all show the same part of the image.

import { setText, show } from "../components/js/dom.js";
import { writeError, writeStatus } from "../components/js/feedback.js";
import { createPane, positionOf } from "./panes.js";
import { FRAME_KEYS } from "./words.js";

/** @typedef {import("./panes.js").Pane} Pane */

/**
 * @param {Refs} ui
 * @param {import("./state.js").CompareState} state
 * @param {{ onHover: (ref: Ref | null) => void, onSelect: (ref: Ref | null) => void, onSay: (words: string) => void }} handlers
 */
export function createArrangement(ui, state, { onHover, onSelect, onSay }) {
  /** By model id. @type {Map<string, Pane>} */
  const panes = new Map();
  /** What each sheet holds. @type {WeakMap<object, Drawn[] | null>} */
  const filled = new WeakMap();
  let position = { zoom: 1, center: [0, 0] };
  let isLeading = true;
  const single = makePane();
  ui.single.append(single.ui.root);

  function makePane() {
    return createPane(ui.paneTemplate, {
      onHover: (object) => onHover(object?.refs[0] ?? null),
      onSelect: (object) => onSelect(object?.refs[0] ?? null),
      onCamera: lead,
      onSay,
    });
  }

  /** One pane per model that is there. @param {boolean} isNewImage */
  function arrange(isNewImage) {
    const { models, source } = state;
    // An image without models is shown as it is.
    const ids = models.length ? models.map(({ id }) => id) : source ? [""] : [];
    for (const [id, pane] of panes) {
      if (ids.includes(id)) continue;
      pane.ui.root.remove();
      panes.delete(id);
    }
    for (const id of ids) {
      const pane = panes.get(id) ?? makePane();
      if (source && (isNewImage || !panes.has(id))) pane.setImage(source);
      panes.set(id, pane);
    }
    if (source && isNewImage) {
      single.setImage(source);
      position = { zoom: 1, center: [source.width / 2, source.height / 2] };
    }
    const roots = ids.map((id) => paneOf(id).ui.root);
    const isRearranged = roots.some((root, i) => ui.panes.children[i] !== root);
    if (isRearranged) ui.panes.replaceChildren(...roots);
    ui.panes.dataset.count = ids.length;
    for (const model of models) describe(paneOf(model.id), model);
    if (isRearranged || isNewImage) bringCamerasTogether();
    if (models.length) return;
    for (const pane of panes.values()) {
      show(pane.ui.head, false);
      pane.ui.image.alt = "The image, not analysed yet";
    }
  }

  /** @param {string} id */
  const paneOf = (id) => /** @type {Pane} */ (panes.get(id));

  /** @param {Pane} pane @param {CompareModel} model */
  function describe(pane, model) {
    show(pane.ui.head, true);
    setText(pane.ui.letter, model.letter);
    setText(pane.ui.title, model.title);
    pane.ui.title.title = model.title;
    pane.ui.frame.setAttribute("aria-label", `${model.title}; ${FRAME_KEYS}`);
    writeStatus(pane.ui, model.status);
    writeError(pane.ui, model.error);
    fill(pane, 0, model);
  }

  /**
   * Draws a set of objects into one of a pane's sheets, unless it is what the sheet holds already.
   * @param {Pane} pane
   * @param {number} place
   * @param {{ objects: Drawn[] | null, edges: Edge[], keypoint_names: string[] } | null} content
   */
  function fill(pane, place, content) {
    const sheet = pane.sheets[place];
    const objects = content?.objects ?? null;
    if (filled.get(sheet) === objects) return;
    filled.set(sheet, objects);
    sheet.setObjects(objects ? /** @type {any} */ (content) : null);
    sheet.setCamera(pane.viewport.camera());
  }

  /**
   * All panes show the part that the pane shows that the visitor moves.
   * @param {Pane} leader
   * @param {import("../components/js/viewport.js").Camera} camera
   */
  function lead(leader, camera) {
    if (!isLeading) return;
    isLeading = false;
    position = positionOf(leader);
    for (const pane of panes.values()) if (pane !== leader && pane.isVisible()) pane.viewport.moveTo(position);
    isLeading = true;
    setText(ui.zoomFit, `${Math.round(100 * camera.zoom)}%`);
    ui.zoomOut.disabled = camera.zoom <= 1;
  }

  /** Panes that come on screen have to measure their room and show what the others show. */
  function bringCamerasTogether() {
    isLeading = false;
    for (const { viewport } of [...panes.values(), single]) {
      viewport.measure();
      viewport.moveTo(position);
    }
    isLeading = true;
  }

  /** Lights up the object under the pointer, else the selected one, in every pane. */
  function emphasize() {
    const { anchor, group, overlaps } = state.emphasized();
    for (const [id, pane] of panes) {
      const isOther = anchor && id !== anchor[0] && state.modelOf(id)?.objects;
      pane.setActive(group);
      pane.setRemark(isOther ? (overlaps.has(id) ? `same place, IoU ${overlaps.get(id).toFixed(2)}` : "not here") : "");
    }
    single.setActive(group);
  }

  const visiblePane = () => [...panes.values(), single].find((pane) => pane.isVisible());
  ui.zoomIn.addEventListener("click", () => visiblePane()?.viewport.zoomIn());
  ui.zoomOut.addEventListener("click", () => visiblePane()?.viewport.zoomOut());
  ui.zoomFit.addEventListener("click", () => visiblePane()?.viewport.fit());

  return { single, paneOf, arrange, fill, bringCamerasTogether, emphasize };
}
