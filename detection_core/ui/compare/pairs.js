// Two of the models: which they are, how many objects they have in common, and how far they agree.

import { make, setAttribute, setText } from "../components/js/dom.js";
import { translate } from "../languages/translate.js";

/** @type {Kind[]} */
export const KINDS = ["matched", "onlyA", "onlyB", "other"];

/**
 * Two lists to choose models from; choosing the other one's model swaps them. `onChange(pair)`
 * @param {HTMLElement} container
 * @param {(pair: string[]) => void} onChange
 */
export function createPairPicker(container, onChange) {
  const lists = [...container.querySelectorAll("select")];
  lists.forEach((list, place) =>
    list.addEventListener("change", () => {
      const pair = lists.map(({ value }) => value);
      if (pair[0] === pair[1]) pair[1 - place] = list.dataset.before ?? "";
      onChange(pair);
    }),
  );
  return {
    /** @param {CompareModel[]} models @param {string[]} pair */
    update(models, pair) {
      lists.forEach((list, place) => {
        const options = models.map(({ id, title }, i) => {
          const option = make("option", "", `${letterOf(i)} · ${title}`);
          option.value = id;
          return option;
        });
        const isNew = options.length !== list.options.length || options.some((option, i) => translate(option.text) !== list.options[i].text || option.value !== list.options[i].value);
        if (isNew) list.replaceChildren(...options);
        list.value = list.dataset.before = pair[place];
      });
    },
  };
}

/** @param {number} place */
export const letterOf = (place) => "ABCD"[place] ?? String(place + 1);

/**
 * Chips with the number of objects of each kind that switch the kind off and on.
 * @param {HTMLElement} container
 * @param {(kind: Kind) => void} onToggle
 */
export function createKindChips(container, onToggle) {
  const chips = [...container.querySelectorAll("button")];
  for (const chip of chips) chip.addEventListener("click", () => onToggle(kindOf(chip)));
  return {
    /** @param {Record<Kind, number>} counts @param {Set<Kind>} on @param {string[]} letters */
    update(counts, on, [a, b]) {
      const names = { matched: "Agreed", onlyA: `Only ${a}`, onlyB: `Only ${b}`, other: "Other class" };
      for (const chip of chips) {
        const kind = kindOf(chip);
        const [name, count] = /** @type {NodeListOf<HTMLElement>} */ (chip.querySelectorAll(".dv-chip-name, .dv-chip-count"));
        setText(name, names[kind]);
        setText(count, String(counts[kind]));
        chip.classList.toggle("dv-none", counts[kind] === 0);
        setAttribute(chip, "aria-pressed", on.has(kind));
      }
    },
  };
}

/** @param {HTMLElement} chip */
const kindOf = (chip) => /** @type {Kind} */ (chip.dataset.kind);

/**
 * {agreement, iou, difference} of two results, each null if it is not known; a difference is the second's score less the first's.
 * @param {PairComparison} found
 * @param {(i: number) => number} scoreA
 * @param {(j: number) => number} scoreB
 */
export function agreementOf({ matched, other, onlyA, onlyB }, scoreA, scoreB) {
  const places = matched.length + other.length + onlyA.length + onlyB.length;
  const mean = (/** @type {(pair: Match) => number} */ valueOf) => (matched.length ? matched.reduce((sum, pair) => sum + valueOf(pair), 0) / matched.length : null);
  return {
    agreement: places ? matched.length / places : null,
    iou: mean(({ iou }) => iou),
    difference: mean(({ i, j }) => scoreB(j) - scoreA(i)),
  };
}
