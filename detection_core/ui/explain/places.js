// The ways to ask about a place: a click, a drag, the keyboard, and four numbers.

import { collectRefs } from "../components/js/dom.js";
import { createCrosshair } from "./crosshair.js";
import { createPicker } from "./picker.js";
import { placeText } from "./words.js";

// What is drawn around a point, as a share of the image's longer side.
const POINT = 0.008;
const KEYS = "Image; arrows move a crosshair, Shift and arrows draw a box, Enter asks, plus and minus zoom, Escape leaves Explain";

/**
 * @param {Refs} ui
 * @param {{ toImage: (event: MouseEvent) => number[], objectNear: (point: number[]) => number, reveal: (point: number[]) => void }} image
 * @param {{
 *   isOn: () => boolean,
 *   size: () => { width: number, height: number },
 *   draw: (marks: import("./drawing.js").Mark[]) => void,
 *   drawing: ReturnType<typeof import("./drawing.js").createDrawing>,
 *   describe: (index: number) => string,
 *   say: (words: string) => void,
 *   onObject: (index: number) => void,
 *   onPlace: (place: Record<string, any>, box: Box) => void,
 *   onProblem: (text: string) => void,
 * }} mode `onObject` is called with an object that is shown, `onPlace` with another place and the box that is drawn for it
 */
export function createPlaces(ui, image, { isOn, size, draw, drawing, describe, say, onObject, onPlace, onProblem }) {
  const refs = collectRefs(ui.explainNumbers);
  const fields = ["left", "top", "right", "bottom"].map((name) => /** @type {HTMLInputElement} */ (refs[name]));
  const frameLabel = ui.frame.getAttribute("aria-label") ?? "";
  let zoom = 1;

  /** @param {Box} box */
  function onBox(box) {
    fields.forEach((field, i) => { field.value = String(box[i]); });
    onPlace({ box }, box);
  }

  /** @param {number[]} point */
  function onPoint(point) {
    const index = image.objectNear(point);
    if (index >= 0) return onObject(index);
    const { width, height } = size();
    const [x, y] = point;
    // Beside the image, in the frame.
    if (x < 0 || y < 0 || x > width || y > height) return undefined;
    const reach = POINT * Math.max(width, height);
    return onPlace({ at: [x, y] }, [x - reach, y - reach, x + reach, y + reach]);
  }

  createPicker(ui.frame, {
    isOn,
    isZoomed: () => zoom > 1,
    toImage: image.toImage,
    size,
    onPoint,
    onBox,
    onDraft: (box) => (box ? draw([{ box, kind: "asked" }]) : drawing.clear()),
  });

  const crosshair = createCrosshair(ui.frame, {
    isOn,
    zoom: () => zoom,
    size,
    onMove(point, box) {
      const index = box ? -1 : image.objectNear(point);
      // The objects are seen again, so that one of them can be chosen.
      ui.root.classList.remove("dv-explained");
      drawing.draw(box ? [{ box, kind: "asked" }] : []);
      drawing.drawCrosshair(point, size());
      image.reveal(point);
      say(placeText(point, box, index < 0 ? "" : describe(index)));
    },
    onPoint,
    onBox,
  });

  function typedBox() {
    const box = fields.map((field) => Number(field.value));
    const isBox = fields.every((field) => field.value !== "") && box[0] < box[2] && box[1] < box[3];
    return isBox ? box : null;
  }

  ui.explainNumbers.addEventListener("input", () => {
    const box = typedBox();
    if (box) draw([{ box, kind: "asked" }]);
  });
  ui.explainNumbers.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const box = typedBox();
    if (box) return onBox(box);
    return onProblem("Give four numbers, with left less than right and top less than bottom.");
  });

  return {
    /** For another image. */
    open() {
      fields.forEach((field, i) => Object.assign(field, { value: "", max: String(i % 2 ? size().height : size().width) }));
    },
    /** @param {boolean} on whether keys and clicks ask */
    setOn(on) {
      crosshair.clear();
      ui.frame.setAttribute("aria-label", on ? KEYS : frameLabel);
    },
    /** @param {number} factor */
    setZoom(factor) {
      zoom = factor;
    },
  };
}
