// The variant of a model: its precision, input size and slices, behind a disclosure whose label says what is chosen.

import { make, setText, show } from "./dom.js";
import { createInputSizeChoice } from "./input_size_choice.js";
import { createPrecisionChoice, titleOf } from "./precision_choice.js";
import { createSlicesChoice } from "./slices_choice.js";

/**
 * The disclosure as a `node`, to be put somewhere; `onChoose` is called with the part that changes.
 * @param {(part: { precision: string } | { inputSize: number | null } | { slices: number | null }) => void} onChoose
 */
export function createVariantChoice(onChoose) {
  const node = /** @type {HTMLDetailsElement} */ (make("details", "variant"));
  const summary = make("summary");
  const name = make("span", "variant-name");
  const choice = make("span", "variant-choice");
  const precision = createPrecisionChoice((wanted) => onChoose({ precision: wanted }));
  const inputSize = createInputSizeChoice((wanted) => onChoose({ inputSize: wanted }));
  const slices = createSlicesChoice((wanted) => onChoose({ slices: wanted }));
  summary.append(name, " ", choice);
  node.append(summary, precision.node, inputSize.node, slices.node);
  return {
    node,
    /**
     * Shows the variant of a model; nothing where there is no model.
     * @param {import("./model_options.js").LookedUp} looked
     * @param {string} letter of the model, where there are several
     */
    draw(looked, letter = "") {
      const names = letter ? namesWith(letter) : ["Advanced", "Precision", "Input size", "Slices"];
      show(node, Boolean(looked.model));
      setText(name, names[0]);
      setText(choice, variantInWords(looked));
      precision.draw(looked.states, looked.precision, names[1]);
      inputSize.draw(looked, names[2]);
      slices.draw(looked, names[3]);
      // What cannot run must be seen to be changed.
      if (looked.model && !looked.state) node.open = true;
    },
  };
}

/** @param {string} letter */
const namesWith = (letter) => [`Advanced settings of model ${letter}`, `Precision of model ${letter}`, `Input size of model ${letter}`, `Slices of model ${letter}`];

/**
 * Such as "Exact · 800 px · no slices"; without the precision where a model has only one.
 * @param {import("./model_options.js").LookedUp} looked
 */
export function variantInWords({ model, states, precision, inputSize, slices }) {
  if (!model) return "";
  const isOnlyOne = Object.keys(states).length === 1 && precision in states;
  return [!isOnlyOne && titleOf(precision), `${inputSize ?? model.trained_side} px`, slices ? `slices of ${slices} px` : "no slices"].filter(Boolean).join(" · ");
}
