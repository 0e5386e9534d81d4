// Two models on the same objects: what only one of them finds, whether that is more than chance, and the images with the largest difference.

import { counted, formatScore, make, setAttribute, setText, show } from "../components/js/dom.js";
import { compareOutcomes } from "./paired.js";
import { interval } from "./tables.js";
import { letterOf } from "./state.js";

const MOST_IMAGES = 8;

/** @typedef {{ set: (words: string, shown: import("./gallery.js").Shown[], source: EvaluationResult) => void }} Gallery */

/**
 * @param {Refs} ui
 * @param {import("./state.js").EvaluateState} state
 * @param {{ pairs: Gallery, images: Gallery }} galleries of objects that are found or not, and of images
 * @param {() => void} onChange
 */
export function createDuel(ui, state, galleries, onChange) {
  function build() {
    const { models } = state;
    show(ui.duel, models.length > 1);
    if (models.length < 2) return;
    [ui.pairA, ui.pairB].forEach((select, side) => {
      select.replaceChildren(...models.map(({ title }, place) => Object.assign(make("option", "", `${letterOf(place)} ${title}`), { value: String(place) })));
      select.value = String(state.pair[side]);
    });
  }

  function draw() {
    const { result, models } = state;
    if (!result || models.length < 2) return;
    const [a, b] = state.pair;
    const found = compareOutcomes(state.outcome(a), state.outcome(b), result.objects);
    /** @type {Record<string, { text: string, objects: number[] }>} */
    const kinds = {
      both: { text: "Both find", objects: found.both },
      onlyA: { text: `Only ${letterOf(a)} finds`, objects: found.onlyA },
      onlyB: { text: `Only ${letterOf(b)} finds`, objects: found.onlyB },
      neither: { text: "Neither finds", objects: found.neither },
    };
    for (const button of ui.pairKinds.querySelectorAll("button")) {
      const { text, objects } = kinds[button.dataset.kind];
      setText(button, `${text} ${objects.length.toLocaleString("en")}`);
      setAttribute(button, "aria-pressed", button.dataset.kind === state.kindOfPair);
    }
    setText(ui.duelWords, `${difference(a, b)} Wrong detections: ${found.wrongA.toLocaleString("en")} of ${letterOf(a)}, ${found.wrongB.toLocaleString("en")} of ${letterOf(b)}. McNemar's test: ${shortly(found.pValue)}${found.pValue < 0.05 ? "" : ", which may be chance"}.`);
    const chosen = kinds[state.kindOfPair];
    galleries.pairs.set(`${chosen.text}: ${counted(chosen.objects.length, "object")}`, chosen.objects.map((object) => shownObject(result, object)), result);
    const images = found.images.slice(0, MOST_IMAGES).map((each) => shownImage(result, each, [a, b]));
    galleries.images.set("Images with the largest difference", images, result);
  }

  /** @param {number} a @param {number} b */
  function difference(a, b) {
    const [one, other] = [state.models[a].name, state.models[b].name];
    const known = state.result?.differences.find((each) => [each.a, each.b].includes(one) && [each.a, each.b].includes(other));
    if (!known || known.ap === null || one === other) return "";
    const sign = known.a === one ? 1 : -1;
    const bounds = known.interval?.map((value) => sign * value).sort((low, high) => low - high);
    const isClear = bounds && (bounds[0] > 0 || bounds[1] < 0);
    const range = bounds ? ` (${interval(bounds)}), ${isClear ? "which is clear" : "which is not clear: the interval contains 0"}` : "";
    return `AP of ${letterOf(a)} − ${letterOf(b)}: ${(sign * known.ap).toFixed(3)}${range}.`;
  }

  for (const [side, select] of [ui.pairA, ui.pairB].entries()) {
    select.addEventListener("change", () => {
      const value = Number(select.value);
      // The other one takes the place of the one that was here.
      state.pair = state.pair.map((place, i) => (i === side ? value : place === value ? state.pair[side] : place));
      build();
      onChange();
    });
  }
  for (const button of ui.pairKinds.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      state.kindOfPair = button.dataset.kind;
      draw();
    });
  }
  return { build, draw };
}

/** @param {EvaluationResult} result @param {number} object @returns {import("./gallery.js").Shown} */
function shownObject({ objects, categories }, object) {
  return { image: objects.image[object], annotated: objects.box[object], detected: null, label: categories[objects.label[object]], score: null };
}

/**
 * @param {EvaluationResult} result
 * @param {import("./paired.js").ImageDifference} difference
 * @param {number[]} pair
 * @returns {import("./gallery.js").Shown}
 */
function shownImage({ images }, { image, errorsA, errorsB }, [a, b]) {
  const { name, width, height } = images[image];
  const label = `${name}: errors ${letterOf(a)} ${errorsA}, ${letterOf(b)} ${errorsB}`;
  return { image, annotated: null, detected: null, label, score: null, part: [0, 0, width, height] };
}

/** @param {number} p */
const shortly = (p) => (p < 0.001 ? "p < 0.001" : `p = ${p < 0.1 ? p.toFixed(3) : formatScore(p)}`);
