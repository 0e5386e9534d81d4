// Objects as crops of their images, with the annotated box (solid) and the detected one (dashed); they are fetched
// when they come into view, so that a move of a threshold asks the server for nothing.

import { formatScore, make, makeButton, makeSvg, setText, show } from "../components/js/dom.js";

/** @typedef {{ image: number, annotated: Box | null, detected: Box | null, label: string, score: number | null, part?: Box }} Shown boxes are [x, y, width, height]; `part` of the image if it is not that of the boxes */
/** @typedef {{ url?: string, part?: number[], error?: string }} Crop */

/**
 * @param {{ section: HTMLElement, title: HTMLElement, list: HTMLElement, more: HTMLElement }} parts
 * @param {Mounting["server"]} server
 * @param {number} most crops of one request
 * @param {(objects: Shown[], at: number) => void} onOpen called with all of them and the place of the chosen one
 */
export function createGallery({ section, title, list, more }, server, most, onOpen) {
  let key = "";
  /** @type {Shown[]} */
  let objects = [];
  let order = { evaluation: "", iou_type: "" };
  /** @type {{ key: string, item: (number | null)[], fill: (crop: Crop) => void }[]} */
  let pending = [];
  let isInView = false;
  /** What has been fetched, by image and part. @type {Map<string, Crop>} */
  const known = new Map();

  /**
   * @param {string} words
   * @param {Shown[]} next
   * @param {{ evaluation: string, iou_type: string, iou: number }} source
   */
  function set(words, next, source) {
    show(section, next.length > 0);
    const wanted = [source.evaluation, words, next.reduce(digest, 7)].join();
    if (wanted === key) return;
    key = wanted;
    objects = next;
    pending = [];
    if (order.evaluation !== source.evaluation) known.clear();
    order = { evaluation: source.evaluation, iou_type: source.iou_type };
    setText(title, words);
    list.replaceChildren();
    add();
  }

  function add() {
    const next = objects.slice(list.children.length, list.children.length + most);
    for (const shown of next) {
      const { item, fill } = cardOf(shown, objects.indexOf(shown));
      list.append(item);
      const part = [shown.image, ...(shown.part ?? unionOf(shown.annotated, shown.detected))];
      const crop = known.get(part.join());
      if (crop) fill(crop);
      else pending.push({ key: part.join(), item: part, fill });
    }
    show(more, list.children.length < objects.length);
    if (isInView) load();
  }

  async function load() {
    const asked = pending.splice(0);
    for (let i = 0; i < asked.length; i += most) {
      const part = asked.slice(i, i + most);
      const answer = await server.crops({ ...order, items: part.map(({ item }) => item) }).catch(() => null);
      part.forEach(({ key: name, fill }, j) => {
        const crop = answer?.crops?.[j] ?? { error: answer?.error ?? "The server does not answer." };
        if (crop.url) known.set(name, crop);
        fill(crop);
      });
    }
  }

  new IntersectionObserver((entries) => {
    isInView = entries[entries.length - 1].isIntersecting;
    if (isInView) load();
  }).observe(list);

  /** @param {Shown} shown @param {number} at */
  function cardOf(shown, at) {
    const item = make("li");
    const button = makeButton("ev-crop", "", () => onOpen(objects, at));
    const frame = make("span", "ev-crop-frame");
    const score = shown.score === null ? "" : ` ${formatScore(shown.score)}`;
    button.append(frame, make("span", "ev-crop-words", `${shown.label}${score}`));
    item.append(button);
    return {
      item,
      /** @param {Crop} crop */
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

/** A number that differs for other objects; writing thousands of them as text at each move would be slow. @param {number} sum @param {Shown} shown */
function digest(sum, { image, annotated, detected, label }) {
  const numbers = [image, ...(annotated ?? [-1]), ...(detected ?? [-2]), label.length, label.charCodeAt(label.length - 1)];
  return numbers.reduce((total, number) => (total * 31 + Math.round(10 * number)) % 2147483647, sum);
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
