// The controls beside the image: sliders, layer buttons and class chips. They own their elements and report what the visitor did.

import { clamp, make, makeButton, makeSvg, setAttribute, setText, show } from "./dom.js";

/** A labeled slider from the template: {show, get, set}. `format` turns the number into what is read and spoken. */
export function createSlider(row, format, onInput) {
  const input = row.querySelector("input");
  const output = row.querySelector("output");

  function paint() {
    const fraction = (input.value - input.min) / (input.max - input.min || 1);
    input.style.setProperty("--fill", `${100 * fraction}%`);
    input.setAttribute("aria-valuetext", format(Number(input.value)));
    setText(output, format(Number(input.value)));
  }

  input.addEventListener("input", () => {
    paint();
    onInput(Number(input.value));
  });
  return {
    show: (visible) => show(row, visible),
    set(value, min = input.min) {
      input.min = min;
      input.value = value;
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
 * The sliders for how masks and skeletons look, where a result has them.
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

/** Buttons with aria-pressed, one per layer that the result has. */
export function createLayerButtons(group, layers, onToggle) {
  const buttons = new Map(layers.map(({ name, title }) => [name, makeButton("", title, () => onToggle(name))]));
  group.replaceChildren(...buttons.values());
  return {
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

/** Buttons of which one is pressed: {update(chosen, isOffered)}. */
export function createChoice(group, onChoose) {
  const buttons = [...group.querySelectorAll("button")];
  for (const button of buttons) button.addEventListener("click", () => onChoose(button.dataset.choice));
  return {
    update(chosen, isOffered = () => true) {
      for (const button of buttons) {
        show(button, isOffered(button.dataset.choice));
        setAttribute(button, "aria-pressed", button.dataset.choice === chosen);
      }
    },
  };
}

/** A list with an item added, or taken out if it was there. */
export function toggled(items, item) {
  return items.includes(item) ? items.filter((each) => each !== item) : [...items, item];
}

/** One chip per class, in the order of its best score; `onToggle(classId)`, `onAll(on)`. */
export function createChips(container, bulk, { onToggle, onAll }) {
  let chips = new Map();
  for (const button of bulk.querySelectorAll("button")) button.addEventListener("click", () => onAll(button.dataset.on === "true"));

  function build(classIds, nameOf, colorOf) {
    chips = new Map();
    for (const id of classIds) {
      const button = makeButton("dv-chip", "", () => onToggle(id));
      const color = colorOf(id);
      if (color) button.append(make("span", "dv-swatch"));
      if (color) button.firstChild.style.background = color;
      const count = make("span", "dv-chip-count");
      button.append(make("span", "dv-chip-name", nameOf(id)), count);
      // The whole name, where the chip has no room for it.
      button.title = nameOf(id);
      chips.set(id, { button, count });
    }
    container.replaceChildren(...[...chips.values()].map(({ button }) => button));
    show(bulk, chips.size > 3);
  }

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

/** Little bars of how many objects have which score, above the threshold slider; those under the threshold are pale. */
export function createHistogram(svg, bins = 48) {
  let bars = [];
  return {
    build(scores, floor) {
      const counts = new Array(bins).fill(0);
      for (const score of scores) counts[clamp(Math.floor(((score - floor) / (1 - floor)) * bins), 0, bins - 1)]++;
      const tallest = Math.sqrt(Math.max(...counts, 1));
      svg.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${bins} 1`);
      bars = counts.map((count, bin) => {
        const bar = makeSvg("rect", "", svg);
        const height = count ? Math.max(Math.sqrt(count) / tallest, 0.1) : 0;
        for (const [name, value] of Object.entries({ x: bin + 0.12, y: 1 - height, width: 0.76, height })) bar.setAttribute(name, value);
        return { bar, end: floor + ((bin + 1) / bins) * (1 - floor) };
      });
    },
    update(threshold) {
      for (const { bar, end } of bars) bar.classList.toggle("dv-under", end <= threshold + 1e-9);
    },
  };
}
