// The grouped options of a <select> of models, and what is known of the model that is chosen.

import { make } from "./dom.js";
import { joinKey, splitKey } from "./model_keys.js";

/** @typedef {import("./model_keys.js").ModelKey} ModelKey */
/** @typedef {ModelKey & { key: string, model: ModelCard | undefined, states: Record<string, string>, state: string | undefined }} LookedUp */

const BUILT_IN = "Built in, no download";
const YOUR_MODELS = "Your models";

/**
 * Keeps the visitor's choice in `props.value.selected`: what Python sends repeats the choice that an event saw, which may be older than
 * the visitor's, unless it says `choose`.
 * @param {Mounting["props"]} props
 */
export function createChosen(props) {
  let chosen = props.value.selected;
  return {
    /** @param {any} selected */
    set(selected) {
      chosen = selected;
      props.value = { ...props.value, selected, choose: false };
    },
    receive() {
      const { selected, choose } = props.value;
      if (choose) chosen = selected;
      if (choose || JSON.stringify(selected) !== JSON.stringify(chosen)) this.set(chosen);
    },
  };
}

/**
 * The key of a model in a variant, as far as it has that: otherwise in its first precision here, and at the input size of its training.
 * @param {ModelKey} wanted
 * @param {ModelCard[]} models
 */
export function keyIn(wanted, models) {
  const model = models.find(({ key }) => key === wanted.name);
  const states = model?.states ?? {};
  const precision = wanted.precision in states ? wanted.precision : Object.keys(states)[0] ?? "exact";
  return joinKey({ ...wanted, precision, inputSize: model && !model.one_size ? wanted.inputSize : null });
}

/**
 * What is known of a model in the variant of its key; without a model, states are empty.
 * @param {string} key
 * @param {ModelCard[]} models
 * @returns {LookedUp}
 */
export function lookUp(key, models) {
  const parts = splitKey(key);
  const model = models.find((other) => other.key === parts.name);
  const states = model?.states ?? {};
  return { ...parts, key, model, states, state: states[parts.precision] };
}

/**
 * Writes the models into the select and chooses one; what is written already stays, because an open list would close.
 * @param {HTMLSelectElement} select
 * @param {ModelCard[]} models
 * @param {string} selected
 */
export function fillModelSelect(select, models, selected) {
  const names = models.map(({ key, title, group }) => ({ key, title, group }));
  const isThere = names.some(({ key }) => key === selected);
  // A user's model can vanish while it is chosen; its file may come back.
  const gone = isThere ? [] : [{ key: selected, title: `${selected} (no longer there)`, group: YOUR_MODELS }];
  const builtIn = names.filter(({ group }) => group === BUILT_IN);
  const all = [...builtIn, ...gone, ...names.filter(({ group }) => group !== BUILT_IN)];
  const listed = JSON.stringify(all);
  if (select.dataset.listed !== listed) {
    select.dataset.listed = listed;
    const groups = [...new Set(all.map((model) => model.group))].map((group) => {
      const options = make("optgroup");
      options.label = group;
      options.append(...all.filter((model) => model.group === group).map(makeModelOption));
      return options;
    });
    select.replaceChildren(...groups);
  }
  select.value = selected;
}

/** @param {{ key: string, title: string }} model */
function makeModelOption({ key, title }) {
  const option = make("option", "", title);
  option.value = key;
  return option;
}
