// Two of the models: which they are, how many objects they have in common, and how far they agree.

import { make, setAttribute, setText } from "../components/js/dom.js";

export const KINDS = ["matched", "onlyA", "onlyB", "other"];

/** Two lists to choose models from; choosing the other one's model swaps them. `onChange(pair)` */
export function createPairPicker(container, onChange) {
  const lists = [...container.querySelectorAll("select")];
  lists.forEach((list, place) =>
    list.addEventListener("change", () => {
      const pair = lists.map(({ value }) => value);
      if (pair[0] === pair[1]) pair[1 - place] = list.dataset.before;
      onChange(pair);
    }),
  );
  return {
    update(models, pair) {
      lists.forEach((list, place) => {
        const options = models.map(({ id, title }, i) => {
          const option = make("option", "", `${letterOf(i)} · ${title}`);
          option.value = id;
          return option;
        });
        const isNew = options.length !== list.options.length || options.some((option, i) => option.text !== list.options[i].text || option.value !== list.options[i].value);
        if (isNew) list.replaceChildren(...options);
        list.value = list.dataset.before = pair[place];
      });
    },
  };
}

export const letterOf = (place) => "ABCD"[place] ?? String(place + 1);

/** Chips with the number of objects of each kind that switch the kind off and on. */
export function createKindChips(container, onToggle) {
  const chips = [...container.querySelectorAll("button")];
  for (const chip of chips) chip.addEventListener("click", () => onToggle(chip.dataset.kind));
  return {
    update(counts, on, [a, b]) {
      const names = { matched: "Agreed", onlyA: `Only ${a}`, onlyB: `Only ${b}`, other: "Other class" };
      for (const chip of chips) {
        const { kind } = chip.dataset;
        setText(chip.querySelector(".dv-chip-name"), names[kind]);
        setText(chip.querySelector(".dv-chip-count"), String(counts[kind]));
        chip.classList.toggle("dv-none", counts[kind] === 0);
        setAttribute(chip, "aria-pressed", on.has(kind));
      }
    },
  };
}

/** {agreement, iou, difference} of two results, each null where nothing tells it; a difference is the second's score less the first's. */
export function agreementOf({ matched, other, onlyA, onlyB }, scoreA, scoreB) {
  const places = matched.length + other.length + onlyA.length + onlyB.length;
  const mean = (valueOf) => (matched.length ? matched.reduce((sum, pair) => sum + valueOf(pair), 0) / matched.length : null);
  return {
    agreement: places ? matched.length / places : null,
    iou: mean(({ iou }) => iou),
    difference: mean(({ i, j }) => scoreB(j) - scoreA(i)),
  };
}
