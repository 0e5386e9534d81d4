// Clicks and drags on the image while the mode Explain is on: they ask about a point or a box, instead of selecting.
//
// A click or tap asks only if the pointer did not move. A drag draws a box where the whole image is shown; in a zoomed image it pans,
// unless Shift is held. Two fingers always zoom.

import { boxBetween } from "./words.js";

const TAP_SLOP = 5;

/**
 * @param {HTMLElement} frame
 * @param {{
 *   isOn: () => boolean,
 *   isZoomed: () => boolean,
 *   toImage: (event: MouseEvent) => number[],
 *   size: () => { width: number, height: number },
 *   onPoint: (point: number[]) => void,
 *   onBox: (box: Box) => void,
 *   onDraft: (box: Box | null) => void,
 * }} handlers `onDraft` is called with the box as it is being drawn, null if it is given up
 */
export function createPicker(frame, { isOn, isZoomed, toImage, size, onPoint, onBox, onDraft }) {
  /** @type {Set<number>} */
  const pressed = new Set();
  /** @type {{ id: number, point: number[], x: number, y: number, draws: boolean, hasMoved: boolean } | null} */
  let start = null;

  /** @param {MouseEvent} event */
  const isOurs = (event) => isOn() && !(/** @type {Element} */ (event.target).closest("button, .dv-status"));
  /** @param {PointerEvent} event */
  const box = (event) => (start ? boxBetween(start.point, toImage(event), size()) : null);

  function giveUp() {
    if (start?.draws && start.hasMoved) onDraft(null);
    start = null;
  }

  /** @param {string} type @param {(event: any) => void} handle */
  const listen = (type, handle) => {
    // Before the viewport's own listeners, which get the events of a drag only if it does not draw.
    frame.addEventListener(type, (event) => {
      if (isOurs(/** @type {MouseEvent} */ (event))) handle(event);
    }, { capture: true });
  };

  listen("pointerdown", (event) => {
    if (event.button !== 0) return;
    pressed.add(event.pointerId);
    if (pressed.size > 1) return giveUp();
    const draws = event.shiftKey || !isZoomed();
    start = { id: event.pointerId, point: toImage(event), x: event.clientX, y: event.clientY, draws, hasMoved: false };
    frame.setPointerCapture(event.pointerId);
  });
  listen("pointermove", (event) => {
    if (!start || start.id !== event.pointerId) return;
    start.hasMoved ||= Math.hypot(event.clientX - start.x, event.clientY - start.y) > TAP_SLOP;
    if (!start.hasMoved || !start.draws) return;
    event.stopImmediatePropagation();
    onDraft(box(event));
  });
  listen("pointerup", (event) => {
    pressed.delete(event.pointerId);
    if (!start || start.id !== event.pointerId) return;
    const drawn = box(event);
    if (!start.hasMoved) onPoint(start.point);
    else if (start.draws && drawn) onBox(drawn);
    else return giveUp();
    start = null;
  });
  frame.addEventListener("pointercancel", (event) => {
    pressed.delete(event.pointerId);
    if (start?.id === event.pointerId) giveUp();
  });
  for (const type of ["click", "dblclick"]) listen(type, (event) => event.stopImmediatePropagation());
}
