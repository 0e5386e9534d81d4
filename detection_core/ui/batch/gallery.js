// The gallery: one card an image with its boxes drawn over a thumbnail, its counts, or the reason why there is none.

import { addCounts, inWords, visibleCount } from "../components/js/class_counts.js";
import { make, makeButton, makeSvg, setText, show } from "../components/js/dom.js";
import { boxToPath } from "../components/js/geometry.js";

/** @type {Record<string, string>} */
const CARD_STATES = { waiting: "Waiting", uploading: "Uploading", detecting: "Detecting" };
const KINDS_ON_CARD = 3;

/** @typedef {{ onOpen: (image: BatchImage) => void, onSelect: (image: BatchImage, selected: boolean) => void }} Handlers */

/**
 * @typedef {object} Card
 * @property {HTMLElement} card
 * @property {HTMLElement} open
 * @property {HTMLImageElement} thumbnail
 * @property {SVGElement} drawing
 * @property {HTMLElement} state
 * @property {HTMLElement} words
 * @property {ReturnType<typeof makeTick>} tick
 * @property {boolean} isNear whether it is on the screen, or nearly
 * @property {BatchResult | null} result
 * @property {number} visible number of objects shown
 * @property {{ result: BatchResult | null, visible: number } | null} drawn
 */

/** @param {HTMLElement} list @param {Handlers} handlers */
export function createGallery(list, { onOpen, onSelect }) {
  /** @type {Map<BatchImage, Card>} */
  const cards = new Map();
  // Boxes are drawn on cards that are on the screen, or nearly: on all two hundred it would take too long.
  const observer = new IntersectionObserver(onVisible, { rootMargin: "400px" });

  /** @param {IntersectionObserverEntry[]} entries */
  function onVisible(entries) {
    for (const { target, isIntersecting } of entries) {
      const card = [...cards.values()].find((one) => one.card === target);
      if (!card) continue;
      card.isNear = isIntersecting;
      if (isIntersecting) drawBoxes(card);
    }
  }

  /** @param {BatchImage} image @returns {Card} */
  function makeCard(image) {
    const card = make("li", "bv-card");
    const open = makeButton("bv-open", "", () => image.state === "done" && onOpen(image));
    const frame = make("span", "bv-frame");
    const thumbnail = make("img");
    thumbnail.alt = "";
    thumbnail.draggable = false;
    const drawing = makeSvg("svg", "dv-overlay", frame);
    const state = make("span", "bv-state");
    const name = make("span", "bv-name", image.name.split("/").at(-1) ?? "");
    const words = make("span", "bv-words");
    frame.prepend(thumbnail);
    frame.append(state);
    open.append(frame, name, words);
    open.title = image.name;
    const tick = makeTick(image, onSelect);
    card.append(open, tick.label);
    observer.observe(card);
    return { card, open, thumbnail, drawing, state, words, tick, isNear: false, result: null, visible: 0, drawn: null };
  }

  /** @param {Card} card @param {BatchImage} image @param {number} threshold @param {Categories} categories */
  function update(card, image, threshold, categories) {
    const { state, result } = image;
    const visible = visibleCount(image, threshold);
    card.card.dataset.state = state;
    card.open.setAttribute("aria-disabled", String(state !== "done"));
    show(card.thumbnail, Boolean(result));
    if (result && card.result !== result) card.thumbnail.src = result.thumbnail;
    Object.assign(card, { result, visible });
    if (card.isNear) drawBoxes(card);
    setText(card.state, CARD_STATES[state] ?? (state === "failed" ? "Failed" : ""));
    setText(card.words, wordsOf(image, visible, categories));
    card.tick.update(image);
  }

  return {
    /** @param {BatchImage[]} images @param {number} threshold @param {Categories} categories */
    draw(images, threshold, categories) {
      for (const [image, { card }] of cards) {
        if (images.includes(image)) continue;
        observer.unobserve(card);
        card.remove();
        cards.delete(image);
      }
      for (const image of images) {
        const card = cards.get(image) ?? makeCard(image);
        if (!cards.has(image)) list.append(card.card);
        cards.set(image, card);
        update(card, image, threshold, categories);
      }
    },
  };
}

/** @param {BatchImage} image @param {number} visible @param {Categories} categories */
function wordsOf(image, visible, categories) {
  if (image.state === "failed") return image.error;
  return image.result ? inWords(addCounts(new Map(), image, visible), categories, KINDS_ON_CARD) : "";
}

/**
 * Draws the visible part of a card's result, unless it is drawn already; one path a color, because nodes are expensive.
 * @param {Card} card
 */
function drawBoxes(card) {
  const { drawing, result, visible, drawn } = card;
  if (drawn?.result === result && drawn.visible === visible) return;
  card.drawn = { result, visible };
  /** @type {Map<string, string>} */
  const paths = new Map();
  for (const { color, box } of result?.objects.slice(0, visible) ?? []) paths.set(color, (paths.get(color) ?? "") + boxToPath(box));
  drawing.setAttribute("viewBox", `0 0 ${result?.width ?? 1} ${result?.height ?? 1}`);
  drawing.replaceChildren();
  for (const [color, path] of paths) {
    const group = makeSvg("g", "", drawing);
    group.style.setProperty("--color", color);
    makeSvg("path", "dv-halo", group).setAttribute("d", path);
    makeSvg("path", "dv-line", group).setAttribute("d", path);
  }
}

/**
 * A checkbox that says which image it chooses: {label, update(image)}.
 * @param {BatchImage} image
 * @param {Handlers["onSelect"]} onSelect
 */
export function makeTick(image, onSelect) {
  const label = make("label", "bv-tick");
  const input = make("input");
  input.type = "checkbox";
  input.setAttribute("aria-label", `Choose ${image.name}`);
  input.addEventListener("change", () => onSelect(image, input.checked));
  label.append(input);
  return {
    label,
    update: (/** @type {BatchImage} */ { selected }) => {
      input.checked = selected;
    },
  };
}
