// The choice of slices: whether a model also runs on overlapping parts of an image, and how large these are.

import { show } from "./dom.js";
import { createNumberChoice } from "./number_choice.js";

const SIDES = [320, 640, 1024];
const OFF = "Slices of large images show small objects; each takes as long as an image.";
const ON = "The model runs on the whole image and on overlapping slices of it, one after the other.";

/**
 * The list as a `node`, to be put somewhere; `onChoose` is called with the choice, null for none.
 * @param {(side: number | null) => void} onChoose
 */
export function createSlicesChoice(onChoose) {
  const choice = createNumberChoice("slices-choice", onChoose);
  return {
    node: choice.node,
    /**
     * Shows the chosen slices; nothing where there is no model.
     * @param {import("./model_options.js").LookedUp} looked
     * @param {string} name
     */
    draw({ model, slices }, name) {
      show(choice.node, Boolean(model));
      choice.describe(name, slices ? ON : OFF);
      choice.fill("No slices", SIDES, (side) => `Slices of ${side} px`, slices);
    },
  };
}
