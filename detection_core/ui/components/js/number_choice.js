// A labeled list of numbers of pixels, of which one or none is chosen, with a hint under it.

import { make, setText } from "./dom.js";

/**
 * The list as a `node`, to be put somewhere; `onChoose` is called with the choice, null for none.
 * @param {string} className
 * @param {(choice: number | null) => void} onChoose
 */
export function createNumberChoice(className, onChoose) {
  const node = make("div", className);
  const label = make("label", "input-size-label");
  const title = make("span");
  const select = /** @type {HTMLSelectElement} */ (make("select"));
  const hint = make("p", "input-size-hint");
  hint.id = `${className}-${Math.random().toString(36).slice(2)}`;
  select.setAttribute("aria-describedby", hint.id);
  select.addEventListener("change", () => onChoose(select.value ? Number(select.value) : null));
  label.append(title, select);
  node.append(label, hint);
  return {
    node,
    select,
    /** @param {string} name @param {string} text */
    describe(name, text) {
      setText(title, name);
      setText(hint, text);
    },
    /**
     * Writes the numbers into the list, and the chosen one if it is another; what is written already stays, because an open list would close.
     * @param {string} none the text of no choice
     * @param {number[]} numbers
     * @param {(number: number) => string} textOf
     * @param {number | null} chosen
     */
    fill(none, numbers, textOf, chosen) {
      const listed = [...new Set([...numbers, ...(chosen ? [chosen] : [])])].sort((a, b) => a - b);
      const written = JSON.stringify([none, ...listed]);
      if (select.dataset.listed !== written) {
        select.dataset.listed = written;
        select.replaceChildren(new Option(none, ""), ...listed.map((number) => new Option(textOf(number), String(number))));
      }
      select.value = chosen ? String(chosen) : "";
    },
  };
}
