// Clicks and drags on the image while the mode Explain is on: they ask about a point or a box, instead of selecting and panning.

import { boxBetween } from "./words.js";

const TAP_SLOP = 5;

/**
 * @param {HTMLElement} frame
 * @param {{
 *   isOn: () => boolean,
 *   toImage: (event: MouseEvent) => number[],
 *   size: () => { width: number, height: number },
 *   onPoint: (point: number[]) => void,
 *   onBox: (box: Box) => void,
 *   onDraft: (box: Box | null) => void,
 * }} handlers `onDraft` is called with the box as it is being drawn, null if it is given up
 */
export function createPicker(frame, { isOn, toImage, size, onPoint, onBox, onDraft }) {
  /** @type {{ id: number, point: number[], x: number, y: number } | null} */
  let start = null;

  /** @param {MouseEvent} event */
  const isOurs = (event) => isOn() && !(/** @type {Element} */ (event.target).closest("button, .dv-status"));
  /** @param {PointerEvent} event */
  const isTap = (event) => start !== null && Math.hypot(event.clientX - start.x, event.clientY - start.y) <= TAP_SLOP;
  /** @param {PointerEvent} event */
  const box = (event) => (start ? boxBetween(start.point, toImage(event), size()) : null);

  /** @param {string} type @param {(event: any) => void} handle */
  const listen = (type, handle) => {
    // Before the viewport's own listeners.
    frame.addEventListener(type, (event) => {
      if (isOurs(/** @type {MouseEvent} */ (event))) handle(event);
    }, { capture: true });
  };

  listen("pointerdown", (event) => {
    event.stopImmediatePropagation();
    if (event.button !== 0 || !event.isPrimary) return;
    start = { id: event.pointerId, point: toImage(event), x: event.clientX, y: event.clientY };
    frame.setPointerCapture(event.pointerId);
  });
  listen("pointermove", (event) => {
    if (start?.id !== event.pointerId) return;
    event.stopImmediatePropagation();
    onDraft(isTap(event) ? null : box(event));
  });
  listen("pointerup", (event) => {
    if (start?.id !== event.pointerId) return;
    event.stopImmediatePropagation();
    const [drawn, tapped, point] = [box(event), isTap(event), start?.point ?? []];
    start = null;
    if (tapped) onPoint(point);
    else if (drawn) onBox(drawn);
    else onDraft(null);
  });
  listen("pointercancel", () => {
    start = null;
    onDraft(null);
  });
  for (const type of ["click", "dblclick"]) listen(type, (event) => event.stopImmediatePropagation());
}
