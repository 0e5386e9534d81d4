// Labels of constant screen size that stay in the frame and off each other: above the box, inside, below, else only a number.
// A coarse grid remembers what is taken, so that placing a label does not have to check the others.

import { clamp, formatScore, inkOn, make, setText, shorten, show } from "./dom.js";

const LABEL_HEIGHT = 20;
const LABEL_PADDING = 12;
const LABEL_CELL = 4;

/** @typedef {{ node: HTMLElement, texts: string[], widths: number[] }} Label its whole text and its short one, and how wide they are */
/** @typedef {ReturnType<typeof createOccupancy>} Occupancy */

/** @param {HTMLElement} layer */
export function createLabels(layer) {
  const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  /** @type {Label[]} */
  let labels = [];

  /**
   * @template {{ color: string, number?: number }} T
   * @param {T[]} objects
   * @param {(object: T) => string} textOf function from an object to the whole text of its label; where that has no room, the label is its `number` or place
   */
  function setObjects(objects, textOf) {
    pen.font = `600 12px ${getComputedStyle(layer).fontFamily}`;
    const widthOf = (/** @type {string} */ text) => Math.ceil(pen.measureText(text).width) + LABEL_PADDING;
    labels = objects.map((object, i) => {
      const node = make("div", "dv-label");
      // The names of classes are data.
      node.translate = false;
      node.style.background = object.color;
      node.style.color = inkOn(object.color);
      const texts = [textOf(object), String(object.number ?? i + 1)];
      show(node, false);
      return { node, texts, widths: texts.map(widthOf) };
    });
    layer.replaceChildren(...labels.map(({ node }) => node));
  }

  /**
   * @param {number[]} order indices of the visible objects, most important first
   * @param {(index: number) => Box} boxOnScreen function from an index to [x1, y1, x2, y2] in the frame
   * @param {number} width
   * @param {number} height
   */
  function layout(order, boxOnScreen, width, height) {
    const taken = createOccupancy(width, height);
    const spots = new Map();
    for (const i of order) {
      const box = boxOnScreen(i);
      const isInFrame = box[2] >= 0 && box[3] >= 0 && box[0] <= width && box[1] <= height;
      if (isInFrame) spots.set(i, findSpot(labels[i], box, taken, width, height));
    }
    labels.forEach((label, i) => put(label, spots.get(i)));
  }

  /** @param {number[]} indices */
  function setActive(indices) {
    layer.classList.toggle("dv-has-active", indices.length > 0);
    labels.forEach(({ node }, i) => node.classList.toggle("dv-active", indices.includes(i)));
  }

  /**
   * Moves a label away from where it was laid, in pixels of the screen.
   * @param {number} index
   * @param {number} dx
   * @param {number} dy
   */
  function setMotion(index, dx, dy) {
    labels[index].node.style.translate = `${dx.toFixed(1)}px ${dy.toFixed(1)}px`;
  }

  return { setObjects, layout, setActive, setMotion };
}

/** A class and how sure the model is; just the class of what was annotated. @param {{ name: string, score: number, annotated?: boolean }} object */
export function labelText({ name, score, annotated }) {
  return annotated ? shorten(name) : `${shorten(name)} ${formatScore(score)}`;
}

/**
 * @param {Label} label
 * @param {Box} box
 * @param {Occupancy} taken
 * @param {number} frameWidth
 * @param {number} frameHeight
 */
export function findSpot({ texts, widths }, box, taken, frameWidth, frameHeight) {
  for (const [version, text] of texts.entries()) {
    for (const [x, y] of labelSpots(box, widths[version], frameWidth, frameHeight)) {
      if (taken.claim(x, y, widths[version], LABEL_HEIGHT)) return { text, transform: `translate(${Math.round(x)}px, ${Math.round(y)}px)` };
    }
  }
  return undefined;
}

/** @param {Label} label @param {ReturnType<typeof findSpot>} spot */
function put({ node }, spot) {
  show(node, Boolean(spot));
  if (!spot) return;
  setText(node, spot.text);
  if (node.style.transform !== spot.transform) node.style.transform = spot.transform;
}

/** @param {Box} box @param {number} width @param {number} frameWidth @param {number} frameHeight */
export function labelSpots([x1, y1, x2, y2], width, frameWidth, frameHeight) {
  const left = clamp(x1 - 1, 0, Math.max(frameWidth - width, 0));
  const right = clamp(x2 + 1 - width, 0, Math.max(frameWidth - width, 0));
  const [above, inside, below] = [y1 - LABEL_HEIGHT - 1, Math.max(y1, 0) + 2, y2 + 1];
  const bottomInside = y2 - LABEL_HEIGHT - 2;
  const spots = [[left, above], [left, inside], [left, below], [right, above], [right, bottomInside], [left, bottomInside]];
  return spots.filter(([, y]) => y >= 0 && y + LABEL_HEIGHT <= frameHeight);
}

/** @param {number} width @param {number} height */
export function createOccupancy(width, height) {
  const columns = Math.ceil(width / LABEL_CELL) + 1;
  const rows = Math.ceil(height / LABEL_CELL) + 1;
  const cells = new Uint8Array(columns * rows);
  return {
    /**
     * Takes a rectangle and says true, or says false when any of it is taken.
     * @param {number} x
     * @param {number} y
     * @param {number} w
     * @param {number} h
     */
    claim(x, y, w, h) {
      const [c0, c1] = [Math.floor(x / LABEL_CELL), Math.min(Math.ceil((x + w) / LABEL_CELL), columns)];
      const [r0, r1] = [Math.floor(y / LABEL_CELL), Math.min(Math.ceil((y + h) / LABEL_CELL), rows)];
      for (let r = r0; r < r1; r++) {
        for (let c = c0; c < c1; c++) if (cells[r * columns + c]) return false;
      }
      for (let r = r0; r < r1; r++) cells.fill(1, r * columns + c0, r * columns + c1);
      return true;
    },
  };
}
