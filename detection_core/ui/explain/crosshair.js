// Asking about a place by keyboard: arrows move a crosshair over the image, Shift and arrows draw a box from it, Enter asks.

import { clamp } from "../components/js/dom.js";
import { boxBetween } from "./words.js";

// Steps along the longer side of what the frame shows.
const STEPS = 50;
const DIRECTIONS = /** @type {Record<string, number[]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });

/**
 * @param {HTMLElement} frame has the focus
 * @param {{
 *   isOn: () => boolean,
 *   zoom: () => number,
 *   size: () => { width: number, height: number },
 *   onMove: (point: number[], box: Box | null) => void,
 *   onPoint: (point: number[]) => void,
 *   onBox: (box: Box) => void,
 * }} handlers
 */
export function createCrosshair(frame, { isOn, zoom, size, onMove, onPoint, onBox }) {
  /** @type {number[] | null} */
  let point = null;
  /** The corner of the box opposite to the point. @type {number[] | null} */
  let corner = null;
  const box = () => (point && corner ? boxBetween(point, corner, size()) : null);

  /** @param {number[]} from @param {number[]} direction */
  function moved(from, direction) {
    const { width, height } = size();
    const step = Math.max(1, Math.round(Math.max(width, height) / zoom() / STEPS));
    return [clamp(from[0] + direction[0] * step, 0, width), clamp(from[1] + direction[1] * step, 0, height)];
  }

  frame.addEventListener("keydown", (event) => {
    const { key, target, shiftKey, altKey, ctrlKey, metaKey } = event;
    if (!isOn() || target !== frame || altKey || ctrlKey || metaKey) return;
    const direction = DIRECTIONS[key];
    if (!direction && key !== "Enter") return;
    event.preventDefault();
    // These keys choose objects and pan otherwise.
    event.stopImmediatePropagation();
    if (key === "Enter") {
      const drawn = box();
      if (drawn) onBox(drawn);
      else if (point) onPoint(point);
      return;
    }
    const { width, height } = size();
    // The first key shows it in the middle.
    if (!point) point = [Math.round(width / 2), Math.round(height / 2)];
    else if (shiftKey) corner = moved(corner ?? point, direction);
    else [point, corner] = [moved(point, direction), null];
    onMove(point, box());
  }, { capture: true });

  return {
    clear() {
      point = corner = null;
    },
  };
}
