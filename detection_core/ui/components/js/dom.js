// Small DOM helpers for the views. Text always goes in through textContent, never as markup.

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

export function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

export function makeSvg(tag, className, parent) {
  const node = document.createElementNS(SVG_NAMESPACE, tag);
  if (className) node.setAttribute("class", className);
  parent?.appendChild(node);
  return node;
}

export function makeButton(className, text, onClick) {
  const button = make("button", className, text);
  button.type = "button";
  button.addEventListener("click", onClick);
  return button;
}

/** HTML and SVG alike: SVG elements have no `hidden` property, but the attribute works through the style sheet. */
export function show(node, visible) {
  node.toggleAttribute("hidden", !visible);
}

/** Writing the same text again would make screen readers repeat it and the browser lay it out again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Writing the same value again would make the browser style it again. */
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** The elements of the template by their `data-ref`. */
export function collectRefs(root) {
  return Object.fromEntries([...root.querySelectorAll("[data-ref]")].map((node) => [node.dataset.ref, node]));
}

/** Calls `action` once per frame however often it is asked for. */
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

/** Calls `action` when nothing has asked for it for `delay` ms; `.now()` calls it at once. */
export function debounce(action, delay) {
  let timer = 0;
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
  return debounced;
}

export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

export function formatScore(score) {
  return score.toFixed(2);
}

export function formatMs(ms) {
  return ms >= 9995 ? `${Math.round(ms / 1000)} s` : ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`;
}

/** "1 frame", "1,200 frames". */
export function counted(n, what) {
  return `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
}

/** A class name for where there is little room; names come from users' models and may be sentences. */
export function shorten(name, longest = 28) {
  return name.length > longest ? `${name.slice(0, longest - 1).trimEnd()}…` : name;
}

/** Black or white, whichever contrasts more with "#rrggbb" (WCAG relative luminance). */
export function inkOn(color) {
  const linear = [1, 3, 5].map((start) => {
    const channel = parseInt(color.slice(start, start + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) ? "#000" : "#fff";
}
