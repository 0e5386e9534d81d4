// Radio buttons for the precision of a model: in which numbers it computes, and by whose modules.

import { make, setText, show } from "./dom.js";

/** @type {Record<string, { title: string, hint: string }>} */
const PRECISIONS = {
  exact: { title: "Exact", hint: "32-bit numbers: finds what torchvision finds, but faster." },
  fast: { title: "Fast", hint: "16-bit numbers: up to several times as fast. Results differ slightly: scores by about a hundredth, uncertain keypoints by more." },
  stock: { title: "Stock", hint: "torchvision's own modules, 32-bit: the reference, and the slowest." },
};
/** @param {string} precision */
export const titleOf = (precision) => PRECISIONS[precision].title;
export const NO_SUCH_PRECISION = "This machine cannot compute in it. Choose another precision.";

/**
 * The buttons as a `node`, to be put somewhere; `onChoose` is called with the choice.
 * @param {(precision: string) => void} onChoose
 */
export function createPrecisionChoice(onChoose) {
  // The same name in another picker of the page would make one group of both.
  const name = `precision-${Math.random().toString(36).slice(2)}`;
  const node = make("fieldset", "precision");
  const legend = make("legend");
  const segments = make("div", "precision-segments");
  const hint = make("p", "precision-hint");
  hint.id = `${name}-hint`;
  node.setAttribute("aria-describedby", hint.id);
  const labels = new Map(Object.entries(PRECISIONS).map(([precision, { title }]) => [precision, makePrecisionLabel(name, precision, title, onChoose)]));
  segments.append(...[...labels.values()].map(({ label }) => label));
  node.append(legend, segments, hint);
  return {
    node,
    /**
     * Shows the precisions of `states`, which has none where there is no model, and the chosen one; nothing where there is no choice.
     * @param {Record<string, string>} states
     * @param {string} chosen
     * @param {string} label
     */
    draw(states, chosen, label) {
      for (const [precision, { label: choice, radio }] of labels) {
        const isThere = precision in states;
        show(choice, isThere || precision === chosen);
        choice.classList.toggle("missing", !isThere);
        choice.title = isThere ? PRECISIONS[precision].hint : NO_SUCH_PRECISION;
        radio.checked = precision === chosen;
      }
      setText(legend, label);
      setText(hint, chosen in states ? PRECISIONS[chosen].hint : NO_SUCH_PRECISION);
      show(node, new Set([...Object.keys(states), chosen]).size > 1 && Object.keys(states).length > 0);
    },
  };
}

/**
 * @param {string} name
 * @param {string} precision
 * @param {string} title
 * @param {(precision: string) => void} onChoose
 */
function makePrecisionLabel(name, precision, title, onChoose) {
  const label = make("label");
  const radio = make("input");
  radio.type = "radio";
  radio.name = name;
  radio.value = precision;
  radio.addEventListener("change", () => onChoose(precision));
  label.append(radio, make("span", "", title));
  return { label, radio };
}
