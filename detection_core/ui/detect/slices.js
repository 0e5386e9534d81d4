// The slices of an image: their grid over it, and which objects only they found.

import { makeSvg, setAttribute, setText, show } from "../components/js/dom.js";
import { boxToPath } from "../components/js/geometry.js";

/**
 * Whether the whole image would not show an object at a threshold; null for an image that was not cut.
 * @param {Pick<ViewObject, "whole_score">} object
 * @param {number} threshold
 */
export const isOnlyInSlices = ({ whole_score: score }, threshold) => (typeof score === "number" ? score < threshold - 1e-9 : null);

/**
 * What the panel says about the slices.
 * @param {Box[]} tiles
 * @param {number} found how many objects only they found
 */
export function slicesText(tiles, found) {
  if (!tiles.length) return "The image is not larger than one slice.";
  const [x0, y0, x1, y1] = tiles[0];
  return `${tiles.length} slices of ${x1 - x0}×${y1 - y0} pixels; ${found} ${found === 1 ? "object" : "objects"} found in slices only.`;
}

/**
 * @param {Refs} ui the view's elements
 * @param {{ settings: () => DetectSettings, onChange: (patch: Record<string, any>) => void }} view
 */
export function createSlices(ui, { settings, onChange }) {
  const camera = makeSvg("g", "", ui.slicesOverlay);
  const lines = ["dv-halo", "dv-line"].map((name) => makeSvg("path", name, camera));
  let hasGrid = true;
  /** @type {Box[]} */
  let tiles = [];

  function drawGrid() {
    show(ui.slicesOverlay, hasGrid && tiles.length > 0);
    setAttribute(ui.slicesGrid, "aria-pressed", hasGrid);
  }

  ui.slicesGrid.addEventListener("click", () => { hasGrid = !hasGrid; drawGrid(); });
  ui.slicesOnly.addEventListener("click", () => onChange({ only_slices: !settings().only_slices }));

  return {
    /** @param {Box[]} newTiles */
    setTiles(newTiles) {
      tiles = newTiles;
      for (const line of lines) line.setAttribute("d", tiles.map(boxToPath).join(""));
      drawGrid();
    },
    /** Fits the panel to a result. @param {DetectResult} result */
    update({ objects }) {
      const { threshold, only_slices: onlySlices } = settings();
      const isSliced = tiles.length > 0 || objects.some(({ whole_score: score }) => typeof score === "number");
      show(ui.slices, isSliced);
      if (!isSliced) return;
      setText(ui.slicesText, slicesText(tiles, objects.filter((object) => object.score >= threshold - 1e-9 && isOnlyInSlices(object, threshold)).length));
      setAttribute(ui.slicesOnly, "aria-pressed", onlySlices);
    },
    /** Whether an object is not shown because the whole image has it, too. @param {ViewObject} object */
    hides: (object) => settings().only_slices && isOnlyInSlices(object, settings().threshold) === false,
    /** Whether the table marks an object. @param {ViewObject} object */
    marks: (object) => isOnlyInSlices(object, settings().threshold) === true,
    /** @param {{ scale: number, x: number, y: number }} place */
    setCamera: ({ scale, x, y }) => camera.setAttribute("transform", `matrix(${scale} 0 0 ${scale} ${x} ${y})`),
  };
}
