// A button that opens a small menu of export formats: a click downloads one at once, or several are ticked and then downloaded together.

import { clamp, make, makeButton, setAttribute, setText, show } from "./dom.js";

/**
 * @typedef {object} Extra an item under the formats that changes what is in some of them
 * @property {string[]} keys the formats; it is there while one of them is ticked
 * @property {() => { title: string, description: string, ticked: boolean }} look
 * @property {() => void} toggle
 */

/**
 * @param {HTMLButtonElement} button opens the menu; the menu is put behind it
 * @param {ExportFormat[]} formats [{key, title, description}], as Python knows them
 * @param {(keys: string[]) => void} onChoose called with the keys chosen
 * @param {object} options
 * @param {string} [options.several] what the entry under the ticks says, such as "Download ZIP"; without it, choosing one format is enough
 * @param {string[]} [options.chosen] keys ticked at first
 * @param {Extra} [options.extra]
 */
export function createExportMenu(button, formats, onChoose, { several = "", chosen = [], extra } = {}) {
  const menu = make("div", "dv-menu");
  const ticked = new Set(chosen);
  /** @type {Map<string, HTMLButtonElement>} */
  const items = new Map(formats.map((format) => [format.key, makeItem(format, () => (several ? tick(format.key) : choose([format.key])))]));
  const extraItem = extra && makeItem({ title: "", description: "" }, () => extra.toggle());
  const confirm = makeButton("dv-menu-confirm", several, () => choose([...items.keys()].filter((key) => ticked.has(key) && isAvailable(key))));

  /** @param {{ title: string, description: string }} words @param {() => void} onClick */
  function makeItem({ title, description }, onClick) {
    const item = makeButton("dv-menu-item", "", onClick);
    const words = make("span", "dv-menu-words");
    words.append(make("span", "dv-menu-title", title), make("span", "dv-menu-description", description));
    item.setAttribute("role", several ? "menuitemcheckbox" : "menuitem");
    if (several) item.append(make("span", "dv-menu-tick"));
    item.append(words);
    return item;
  }

  const isAvailable = (/** @type {string} */ key) => items.get(key)?.getAttribute("aria-disabled") !== "true";

  /** @param {string} key */
  function tick(key) {
    if (!isAvailable(key)) return;
    if (!ticked.delete(key)) ticked.add(key);
    draw();
  }

  /** @param {string[]} keys */
  function choose(keys) {
    if (!keys.length || !keys.every(isAvailable)) return;
    menu.hidePopover();
    onChoose(keys);
  }

  function draw() {
    for (const [key, item] of items) if (several) setAttribute(item, "aria-checked", ticked.has(key) && isAvailable(key));
    setAttribute(confirm, "aria-disabled", ![...ticked].some(isAvailable));
    if (extra && extraItem) drawExtra(extra, extraItem);
  }

  /** @param {Extra} extra @param {HTMLButtonElement} item */
  function drawExtra({ keys, look }, item) {
    const { title, description, ticked: isTicked } = look();
    setText(/** @type {Element} */ (item.querySelector(".dv-menu-title")), title);
    setText(/** @type {Element} */ (item.querySelector(".dv-menu-description")), description);
    setAttribute(item, "aria-checked", isTicked);
    show(item, keys.some((key) => ticked.has(key) && isAvailable(key)));
    if (menu.matches(":popover-open")) place();
  }

  /** Under the button, or over it where there is more room; never out of the window. */
  function place() {
    const { right, top, bottom } = button.getBoundingClientRect();
    const [width, height] = [menu.offsetWidth, menu.offsetHeight];
    const above = bottom + height + 8 > window.innerHeight && top > window.innerHeight - bottom;
    menu.style.left = `${clamp(right - width, 8, Math.max(window.innerWidth - width - 8, 8))}px`;
    menu.style.top = `${above ? Math.max(top - height - 4, 8) : bottom + 4}px`;
    menu.style.maxHeight = `${(above ? top : window.innerHeight - bottom) - 12}px`;
  }

  /** @param {KeyboardEvent} event */
  function move(event) {
    const all = [...menu.querySelectorAll("button")].filter((item) => !item.hidden);
    const at = all.findIndex((item) => item === document.activeElement);
    /** @type {Record<string, number>} */
    const goals = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    const goal = goals[event.key];
    if (event.key === "Tab") menu.hidePopover();
    if (goal === undefined) return;
    event.preventDefault();
    all.at(goal % all.length)?.focus();
  }

  menu.popover = "auto";
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", "Formats");
  menu.append(...items.values());
  if (extraItem) menu.append(extraItem);
  if (several) {
    confirm.setAttribute("role", "menuitem");
    menu.append(confirm);
  }
  menu.addEventListener("keydown", move);
  menu.addEventListener("toggle", (event) => {
    const { newState } = /** @type {ToggleEvent} */ (event);
    setAttribute(button, "aria-expanded", newState === "open");
    if (newState !== "open") return;
    place();
    menu.querySelector("button")?.focus({ preventScroll: true });
  });
  // A page that scrolls or is resized leaves the menu behind.
  for (const event of ["scroll", "resize"]) window.addEventListener(event, () => menu.matches(":popover-open") && place(), { passive: true });
  button.setAttribute("aria-haspopup", "menu");
  button.setAttribute("aria-expanded", "false");
  button.popoverTargetElement = menu;
  button.after(menu);
  draw();

  return {
    draw,
    /** Grays out all formats but these; `why` is what those then say on hover. @param {string[]} keys */
    setAvailable(keys, why = "") {
      for (const [key, item] of items) {
        const available = keys.includes(key);
        setAttribute(item, "aria-disabled", !available);
        item.title = available ? "" : why;
      }
      draw();
    },
    /** @param {boolean} busy */
    setBusy(busy) {
      button.classList.toggle("dv-busy", busy);
      setAttribute(button, "aria-busy", busy);
    },
  };
}
