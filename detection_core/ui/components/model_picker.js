// A grouped <select> of all models, the precisions, input sizes and slices of the chosen one and its card.
// value: {selected: key, models: [{key, title, group, states: {precision: state}, ...}]}.

import { make, setText, show } from "./js/dom.js";
import { createChosen, fillModelSelect, keyIn, lookUp } from "./js/model_options.js";
import { createVariantChoice } from "./js/variant_choice.js";

/** @param {Mounting} mounting */
export function mount({ element, props, trigger, watch }) {
  const select = /** @type {HTMLSelectElement} */ (element.querySelector("select"));
  const card = /** @type {HTMLElement} */ (element.querySelector(".card"));
  const bestFor = /** @type {HTMLElement} */ (element.querySelector(".best-for"));
  const details = /** @type {HTMLDetailsElement} */ (element.querySelector(".about"));
  const accuracy = /** @type {HTMLElement} */ (element.querySelector(".accuracy"));

  const chosen = createChosen(props);
  const variant = createVariantChoice((part) => choose({ ...looked(), ...part }));
  element.querySelector(".picker-variant")?.replaceWith(variant.node);
  const looked = () => lookUp(props.value.selected, props.value.models);

  function showCard() {
    const { model, state } = looked();
    variant.draw(looked());
    show(details, Boolean(model));
    setText(accuracy, model?.facts.find(([name]) => name === "Box AP")?.join(" ") ?? "");
    setText(bestFor, model ? model.best_for : "The file of this model has been removed. Put it back, or choose another model.");
    if (model) card.replaceChildren(pillsOf(model, state), factsOf(model), ...finePrintOf(model, looked()));
  }

  /** @param {ModelCard} model @param {string | undefined} state */
  function pillsOf({ tasks, size }, state) {
    const pills = make("div", "pills");
    for (const task of tasks) pills.append(make("span", "pill", task));
    if (state) pills.append(make("span", state === "in memory" || state === "on disk" ? "pill ready" : "pill", state === "to download" ? `${size} download` : state));
    return pills;
  }

  /** @param {ModelCard} model */
  function factsOf(model) {
    const facts = make("dl");
    for (const [name, value] of model.facts) {
      const fact = make("div");
      fact.append(make("dt", "", name), make("dd", "", value));
      facts.append(fact);
    }
    return facts;
  }

  /** @param {ModelCard} model @param {{ precision: string, inputSize: number | null, slices: number | null }} variant */
  function finePrintOf({ metrics_on, recipe }, { precision, inputSize, slices: side }) {
    if (!metrics_on && !recipe) return [];
    const others = [precision === "fast" && "not in fast precision", inputSize && "not at this input size", side && "not in slices"].filter(Boolean);
    const fine = make("p", "fine", metrics_on ? `${[`Measured on ${metrics_on}`, ...others].join(", ")}. ` : "");
    if (recipe) {
      const link = make("a", "", "How it was trained");
      link.href = recipe;
      link.target = "_blank";
      link.rel = "noopener";
      fine.append(link);
    }
    return [fine];
  }

  function draw() {
    fillModelSelect(select, props.value.models, looked().name);
    showCard();
  }

  draw();
  watch("value", () => {
    chosen.receive();
    draw();
  });
  select.addEventListener("change", () => choose({ ...looked(), name: select.value }));

  /** @param {import("./js/model_keys.js").ModelKey} wanted */
  function choose(wanted) {
    const key = keyIn(wanted, props.value.models);
    chosen.set(key);
    showCard();
    trigger("select", { key });
  }
}
