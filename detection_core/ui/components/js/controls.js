// The controls beside the image: sliders, layer buttons and class chips. They own their elements and report what the visitor did.

import { clamp, make, makeButton, makeSvg, setAttribute, setText, show } from "./dom.js";

/**
 * A labeled slider from the template: {show, get, set}. `format` turns the number into what is read and spoken.
 * @param {HTMLElement} row
 * @param {(value: number) => string} format
 * @param {(value: number) => void} onInput
 */
export function createSlider(row, format, onInput) {
  const input = /** @type {HTMLInputElement} */ (row.querySelector("input"));
  const output = /** @type {HTMLOutputElement} */ (row.querySelector("output"));

  function paint() {
    const [value, min, max] = [input.value, input.min, input.max].map(Number);
    const fraction = (value - min) / (max - min || 1);
    input.style.setProperty("--fill", `${100 * fraction}%`);
    input.setAttribute("aria-valuetext", format(value));
    setText(output, format(value));
  }

  input.addEventListener("input", () => {
    paint();
    onInput(Number(input.value));
  });
  return {
    /** @param {boolean} visible */
    show: (visible) => show(row, visible),
    /** Gives the value as the slider has it. @param {number} value */
    set(value, min = Number(input.min)) {
      input.min = String(min);
      input.value = String(value);
      paint();
      return Number(input.value);
    },
  };
}

/**
 * What the objects of a result have besides boxes.
 * @typedef {{ masks: boolean, keypoints: boolean }} Parts
 */

/**
 * The sliders for masks and skeletons, if a result has them.
 * @param {Refs} ui
 * @param {(patch: Partial<Style>) => void} onChange
 */
export function createStyleSliders(ui, onChange) {
  const keypoints = createSlider(ui.keypointThreshold, (logit) => logit.toFixed(1), (keypoint_threshold) => onChange({ keypoint_threshold }));
  const opacity = createSlider(ui.opacity, formatShare, (share) => onChange({ opacity: share }));
  return {
    /** Shows the style, and writes it as the sliders have it. @param {Style} style @param {Parts} parts */
    update(style, parts) {
      style.keypoint_threshold = keypoints.set(style.keypoint_threshold);
      style.opacity = opacity.set(style.opacity);
      keypoints.show(parts.keypoints);
      opacity.show(parts.masks);
    },
  };
}

/** @param {number} share */
const formatShare = (share) => `${Math.round(100 * share)}%`;

/**
 * Buttons with aria-pressed, one per layer that the result has.
 * @param {HTMLElement} group
 * @param {Layer[]} layers
 * @param {(layer: string) => void} onToggle
 */
export function createLayerButtons(group, layers, onToggle) {
  const buttons = new Map(layers.map(({ name, title }) => [name, makeButton("", title, () => onToggle(name))]));
  group.replaceChildren(...buttons.values());
  return {
    /** @param {Record<string, any>} settings @param {string[]} available */
    update(settings, available) {
      for (const [layer, button] of buttons) {
        show(button, available.includes(layer));
        setAttribute(button, "aria-pressed", settings[layer]);
      }
    },
  };
}

/**
 * Names of the layers that there are something for.
 * @param {Layer[]} layers
 * @param {Parts} parts
 */
export function layersFor(layers, { masks, keypoints }) {
  /** @type {Record<string, boolean>} */
  const needed = { masks, contours: masks, skeletons: keypoints };
  return layers.map(({ name }) => name).filter((name) => needed[name] ?? true);
}

/**
 * Buttons of which one is pressed: {update(chosen, isOffered)}.
 * @param {HTMLElement} group
 * @param {(choice: string) => void} onChoose
 */
export function createChoice(group, onChoose) {
  const buttons = [...group.querySelectorAll("button")];
  for (const button of buttons) button.addEventListener("click", () => onChoose(choiceOf(button)));
  return {
    /** @param {string} chosen @param {(choice: string) => boolean} isOffered */
    update(chosen, isOffered = () => true) {
      for (const button of buttons) {
        show(button, isOffered(choiceOf(button)));
        setAttribute(button, "aria-pressed", choiceOf(button) === chosen);
      }
    },
  };
}

/** @param {HTMLElement} button */
const choiceOf = (button) => button.dataset.choice ?? "";

/** A list with an item added, or taken out if it was there. @template Item @param {Item[]} items @param {Item} item */
export function toggled(items, item) {
  return items.includes(item) ? items.filter((each) => each !== item) : [...items, item];
}

/**
 * One chip per class, in the order of its best score; `onToggle(classId)`, `onAll(on)`.
 * @template Id
 * @param {HTMLElement} container
 * @param {HTMLElement} bulk
 * @param {{ onToggle: (id: Id) => void, onAll: (on: boolean) => void }} handlers
 */
export function createChips(container, bulk, { onToggle, onAll }) {
  /** @type {Map<Id, { button: HTMLElement, count: HTMLElement }>} */
  let chips = new Map();
  for (const button of bulk.querySelectorAll("button")) button.addEventListener("click", () => onAll(button.dataset.on === "true"));

  /** @param {Id[]} classIds @param {(id: Id) => string} nameOf @param {(id: Id) => string | null} colorOf */
  function build(classIds, nameOf, colorOf) {
    chips = new Map();
    for (const id of classIds) {
      const button = makeButton("dv-chip", "", () => onToggle(id));
      const color = colorOf(id);
      if (color) button.append(makeSwatch(color));
      const count = make("span", "dv-chip-count");
      // The names of classes are data.
      button.translate = false;
      button.append(make("span", "dv-chip-name", nameOf(id)), count);
      // The whole name, where the chip has no room for it.
      button.title = nameOf(id);
      chips.set(id, { button, count });
    }
    container.replaceChildren(...[...chips.values()].map(({ button }) => button));
    show(bulk, chips.size > 3);
  }

  /** @param {Map<Id, number>} counts @param {Set<Id>} hidden */
  function update(counts, hidden) {
    for (const [id, { button, count }] of chips) {
      const n = counts.get(id) ?? 0;
      setText(count, `×${n}`);
      button.classList.toggle("dv-none", n === 0);
      setAttribute(button, "aria-pressed", !hidden.has(id));
    }
  }

  return { build, update };
}

/** @param {string} color */
function makeSwatch(color) {
  const swatch = make("span", "dv-swatch");
  swatch.style.background = color;
  return swatch;
}

/**
 * Little bars of how many objects have which score, above the threshold slider; those under the threshold are pale.
 * @param {SVGElement} svg
 */
export function createHistogram(svg, bins = 48) {
  /** @type {{ bar: SVGElement, end: number }[]} */
  let bars = [];
  return {
    /** @param {number[]} scores @param {number} floor */
    build(scores, floor) {
      const counts = new Array(bins).fill(0);
      for (const score of scores) counts[clamp(Math.floor(((score - floor) / (1 - floor)) * bins), 0, bins - 1)]++;
      const tallest = Math.sqrt(Math.max(...counts, 1));
      svg.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${bins} 1`);
      bars = counts.map((count, bin) => {
        const bar = makeSvg("rect", "", svg);
        const height = count ? Math.max(Math.sqrt(count) / tallest, 0.1) : 0;
        for (const [name, value] of Object.entries({ x: bin + 0.12, y: 1 - height, width: 0.76, height })) setAttribute(bar, name, value);
        return { bar, end: floor + ((bin + 1) / bins) * (1 - floor) };
      });
    },
    /** @param {number} threshold */
    update(threshold) {
      for (const { bar, end } of bars) bar.classList.toggle("dv-under", end <= threshold + 1e-9);
    },
  };
}
