// The choice of slices: whether a model also looks in overlapping parts of an image, and how large these are.

import { make, setText, show } from "./dom.js";

const SIDES = [320, 640, 1024];
const OFF = "Slices of large images show small objects; each takes as long as an image.";
const ON = "The model looks in the whole image and in overlapping slices of it, one after the other.";

/**
 * The list as a `node`, to be put somewhere; `onChoose` is called with the choice, null for none.
 * @param {(side: number | null) => void} onChoose
 */
export function createSlicesChoice(onChoose) {
  const node = make("div", "slices-choice");
  const label = make("label", "input-size-label");
  const title = make("span");
  const select = make("select");
  const hint = make("p", "input-size-hint");
  hint.id = `slices-${Math.random().toString(36).slice(2)}`;
  select.setAttribute("aria-describedby", hint.id);
  select.addEventListener("change", () => onChoose(select.value ? Number(select.value) : null));
  label.append(title, select);
  node.append(label, hint);
  return {
    node,
    /**
     * Shows the chosen slices; nothing where there is no model.
     * @param {import("./model_options.js").LookedUp} looked
     * @param {string} name
     */
    draw({ model, slices }, name) {
      show(node, Boolean(model));
      setText(title, name);
      fill(select, slices);
      setText(hint, slices ? ON : OFF);
    },
  };
}

/**
 * Writes the sides into the list; what is written already stays, because an open list would close.
 * @param {HTMLSelectElement} select
 * @param {number | null} chosen
 */
function fill(select, chosen) {
  const sides = [...new Set([...SIDES, ...(chosen ? [chosen] : [])])].sort((a, b) => a - b);
  const listed = JSON.stringify(sides);
  if (select.dataset.listed !== listed) {
    select.dataset.listed = listed;
    select.replaceChildren(new Option("No slices", ""), ...sides.map((side) => new Option(`Slices of ${side} px`, String(side))));
  }
  select.value = chosen ? String(chosen) : "";
}
