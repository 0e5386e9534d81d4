// Small DOM helpers for the views. Text always goes in through textContent, never as markup.

import { TEXT_ATTRIBUTES, translate } from "../../languages/translate.js";

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {Node} parent
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function makeSvg(tag, className, parent) {
  const node = document.createElementNS(SVG_NAMESPACE, tag);
  if (className) node.setAttribute("class", className);
  parent.appendChild(node);
  return node;
}

/** @param {string} className @param {string} text @param {(event: MouseEvent) => void} onClick */
export function makeButton(className, text, onClick) {
  const button = make("button", className, text);
  button.type = "button";
  button.addEventListener("click", onClick);
  return button;
}

/**
 * HTML and SVG alike: SVG elements have no `hidden` property, but the attribute works through the style sheet.
 * @param {Element} node
 * @param {boolean} visible
 */
export function show(node, visible) {
  node.toggleAttribute("hidden", !visible);
}

/**
 * Writing the same text again would make screen readers repeat it and the browser lay it out again.
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  const shown = translate(text);
  if (node.textContent !== shown) node.textContent = shown;
}

/**
 * Writing the same value again would make the browser style it again.
 * @param {Element} node
 * @param {string} name
 * @param {unknown} value
 */
export function setAttribute(node, name, value) {
  const shown = TEXT_ATTRIBUTES.includes(name) ? translate(String(value)) : String(value);
  if (node.getAttribute(name) !== shown) node.setAttribute(name, shown);
}

/** The elements of the template by their `data-ref`. @param {Element} root @returns {Refs} */
export function collectRefs(root) {
  return Object.fromEntries([.../** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-ref]"))].map((node) => [node.dataset.ref, node]));
}

/** Calls `action` once per frame however often it is asked for. @param {() => void} action */
export function oncePerFrame(action) {
  let pending = false;
  return () => {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      action();
    });
  };
}

/**
 * Calls `action` when nothing has asked for it for `delay` ms; `.now()` calls it at once, `.cancel()` forgets that it was asked for.
 * @param {() => void} action
 * @param {number} delay
 */
export function debounce(action, delay) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const run = () => {
    timer = setTimeout(action, delay);
  };
  const debounced = () => {
    clearTimeout(timer);
    run();
  };
  debounced.now = () => {
    clearTimeout(timer);
    action();
  };
  debounced.cancel = () => clearTimeout(timer);
  return debounced;
}

/** @param {number} value @param {number} low @param {number} high */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** @param {number} score */
export function formatScore(score) {
  return score.toFixed(2);
}

/** @param {number} ms */
export function formatMs(ms) {
  return ms >= 9995 ? `${Math.round(ms / 1000)} s` : ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`;
}

/** "1 frame", "1,200 frames". @param {number} n @param {string} what */
export function counted(n, what) {
  return `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
}

/**
 * A class name for where there is little room; names come from users' models and may be sentences.
 * @param {string} name
 */
export function shorten(name, longest = 28) {
  return name.length > longest ? `${name.slice(0, longest - 1).trimEnd()}…` : name;
}

/** Black or white, whichever contrasts more with "#rrggbb" (WCAG relative luminance). @param {string} color */
export function inkOn(color) {
  const linear = [1, 3, 5].map((start) => {
    const channel = parseInt(color.slice(start, start + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) ? "#000" : "#fff";
}
