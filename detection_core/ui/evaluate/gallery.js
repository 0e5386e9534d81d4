// Objects as crops of their images, with the annotated box (solid) and the detected one (dashed); they are fetched as they are shown.

import { formatScore, make, makeButton, makeSvg, setText, show } from "../components/js/dom.js";

/** @typedef {{ image: number, annotated: Box | null, detected: Box | null, label: string, score: number | null, part?: Box }} Shown boxes are [x, y, width, height]; `part` of the image if it is not that of the boxes */

/**
 * @param {{ section: HTMLElement, title: HTMLElement, list: HTMLElement, more: HTMLElement }} parts
 * @param {Mounting["server"]} server
 * @param {number} most crops of one request
 * @param {(shown: Shown) => void} onOpen
 */
export function createGallery({ section, title, list, more }, server, most, onOpen) {
  let key = "";
  /** @type {Shown[]} */
  let objects = [];
  let order = {};

  /**
   * @param {string} words
   * @param {Shown[]} next
   * @param {{ evaluation: string, iou_type: string, iou: number }} source
   */
  function set(words, next, source) {
    show(section, next.length > 0);
    const wanted = JSON.stringify([words, next, source.evaluation]);
    if (wanted === key) return;
    key = wanted;
    objects = next;
    order = { evaluation: source.evaluation, iou_type: source.iou_type };
    setText(title, words);
    list.replaceChildren();
    add();
  }

  async function add() {
    const from = list.children.length;
    const next = objects.slice(from, from + most);
    const cards = next.map(cardOf);
    list.append(...cards.map(({ item }) => item));
    show(more, list.children.length < objects.length);
    if (!next.length) return;
    const items = next.map(({ image, annotated, detected, part }) => [image, ...(part ?? unionOf(annotated, detected))]);
    const asked = key;
    const answer = await server.crops({ ...order, items }).catch(() => null);
    if (asked !== key) return;
    cards.forEach((card, i) => card.fill(answer?.crops?.[i] ?? { error: answer?.error ?? "The server does not answer." }));
  }

  /** @param {Shown} shown */
  function cardOf(shown) {
    const item = make("li");
    const button = makeButton("ev-crop", "", () => onOpen(shown));
    const frame = make("span", "ev-crop-frame");
    const score = shown.score === null ? "" : ` ${formatScore(shown.score)}`;
    button.append(frame, make("span", "ev-crop-words", `${shown.label}${score}`));
    item.append(button);
    return {
      item,
      /** @param {{ url?: string, part?: number[], error?: string }} crop */
      fill({ url, part, error }) {
        if (!url || !part) return frame.append(make("span", "ev-crop-error", error));
        const image = make("img");
        image.src = url;
        image.alt = "";
        const svg = makeSvg("svg", "", frame);
        svg.setAttribute("viewBox", part.join(" "));
        svg.setAttribute("aria-hidden", "true");
        frame.prepend(image);
        if (shown.annotated) drawBox(svg, shown.annotated, "ev-annotated");
        if (shown.detected) drawBox(svg, shown.detected, "ev-detected");
      },
    };
  }

  more.addEventListener("click", add);
  return { set };
}

/** @param {SVGElement} svg @param {Box} box @param {string} className */
function drawBox(svg, [x, y, width, height], className) {
  for (const look of ["ev-halo", className]) {
    const rect = makeSvg("rect", look, svg);
    for (const [name, value] of Object.entries({ x, y, width, height })) rect.setAttribute(name, String(value));
  }
}

/** @param {Box | null} a @param {Box | null} b @returns {Box} */
function unionOf(a, b) {
  const boxes = [a, b].filter((box) => box !== null);
  if (!boxes.length) return [0, 0, 0, 0];
  const [left, top] = [0, 1].map((axis) => Math.min(...boxes.map((box) => box[axis])));
  const [right, bottom] = [0, 1].map((axis) => Math.max(...boxes.map((box) => box[axis] + box[axis + 2])));
  return [left, top, right - left, bottom - top];
}
