// What the mode Explain draws over the image: boxes with names, many boxes without, and maps that cover the image.

import { makeSvg } from "../components/js/dom.js";
import { boxToPath } from "../components/js/geometry.js";

/** @typedef {{ box: Box, label?: string, kind: "asked" | "candidate" | "suppressor" | "step" | "found" | "gone" }} Mark */

const LABEL_HEIGHT = 18;

/** @param {SVGSVGElement} svg */
export function createDrawing(svg) {
  const camera = makeSvg("g", "", svg);
  const names = makeSvg("g", "", svg);
  let view = { scale: 1, x: 0, y: 0 };
  /** @type {{ box: Box, node: SVGTextElement }[]} */
  let labels = [];

  function place() {
    camera.setAttribute("transform", `matrix(${view.scale} 0 0 ${view.scale} ${view.x} ${view.y})`);
    /** @type {number[][]} */
    const taken = [];
    for (const { box, node } of labels) {
      const x = Math.max(4, box[0] * view.scale + view.x + 4);
      let y = Math.max(LABEL_HEIGHT, box[1] * view.scale + view.y + LABEL_HEIGHT - 2);
      // Names of boxes that begin at the same place stand below each other.
      while (taken.some(([otherX, otherY]) => Math.abs(otherX - x) < 120 && Math.abs(otherY - y) < LABEL_HEIGHT)) y += LABEL_HEIGHT;
      taken.push([x, y]);
      node.setAttribute("x", String(x));
      node.setAttribute("y", String(y));
    }
  }

  function clear() {
    camera.replaceChildren();
    names.replaceChildren();
    labels = [];
  }

  return {
    clear,
    /** @param {Mark[]} marks the last lies on top */
    draw(marks) {
      clear();
      for (const { box, label, kind } of marks) {
        const group = makeSvg("g", `dv-mark dv-mark-${kind}`, camera);
        makeSvg("path", "dv-halo", group).setAttribute("d", boxToPath(box));
        makeSvg("path", "dv-line", group).setAttribute("d", boxToPath(box));
        if (!label) continue;
        const node = makeSvg("text", `dv-mark-name dv-mark-${kind}`, names);
        node.textContent = label;
        labels.push({ box, node });
      }
      place();
    },
    /** Lines through a point, over what is drawn already. @param {number[]} point @param {{ width: number, height: number }} size */
    drawCrosshair([x, y], { width, height }) {
      const group = makeSvg("g", "dv-mark dv-mark-crosshair", camera);
      for (const line of ["dv-halo", "dv-line"]) makeSvg("path", line, group).setAttribute("d", `M0 ${y}H${width}M${x} 0V${height}`);
    },
    /** Many boxes without names. @param {Box[]} boxes */
    drawMany(boxes) {
      clear();
      makeSvg("path", "dv-many-halo", camera).setAttribute("d", boxes.map(boxToPath).join(""));
      makeSvg("path", "dv-many", camera).setAttribute("d", boxes.map(boxToPath).join(""));
      place();
    },
    /** A map that covers a part of the image. @param {string} url @param {Box} part */
    drawImage(url, [x, y, right, bottom]) {
      clear();
      const node = makeSvg("image", "", camera);
      for (const [name, value] of Object.entries({ href: url, x, y, width: right - x, height: bottom - y, preserveAspectRatio: "none" })) node.setAttribute(name, String(value));
      place();
    },
    /** @param {{ scale: number, x: number, y: number }} camera */
    setCamera({ scale, x, y }) {
      view = { scale, x, y };
      place();
    },
  };
}
