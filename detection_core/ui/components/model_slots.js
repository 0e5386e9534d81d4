// A few grouped selects of models, each with its precisions, input sizes and slices.
// value: {selected: [key, ...], least, most, models: [{key, title, group, states: {precision: state}, size, facts, ...}]}.

import { make, makeButton, makeSvg, setAttribute, setText, show } from "./js/dom.js";
import { costInWords } from "./js/input_size_choice.js";
import { splitKey } from "./js/model_keys.js";
import { createChosen, fillModelSelect, keyIn, lookUp } from "./js/model_options.js";
import { NO_SUCH_PRECISION } from "./js/precision_choice.js";
import { createVariantChoice } from "./js/variant_choice.js";

/** @param {Mounting} mounting */
export function mount({ element, props, trigger, watch }) {
  const list = /** @type {HTMLOListElement} */ (element.querySelector("ol"));
  const add = /** @type {HTMLButtonElement} */ (element.querySelector(".add"));
  const chosen = createChosen(props);
  /** @type {WeakMap<Element, ReturnType<typeof createVariantChoice>>} */
  const variants = new WeakMap();

  function draw() {
    const { selected, models, least, most } = props.value;
    while (list.children.length > selected.length) list.lastElementChild?.remove();
    while (list.children.length < selected.length) list.append(buildSlot());
    selected.forEach((/** @type {string} */ key, /** @type {number} */ index) => drawSlot(list.children[index], key, index, models, selected.length > least));
    show(add, selected.length < most);
  }

  function buildSlot() {
    const slot = make("li");
    const choice = make("div", "choice");
    const select = make("select");
    const ownKey = () => props.value.selected[indexOf(slot)];
    const change = (/** @type {object} */ parts) => choose(replaced(indexOf(slot), keyIn({ ...splitKey(ownKey()), ...parts }, props.value.models)));
    select.addEventListener("change", () => change({ name: select.value }));
    const variant = createVariantChoice(change);
    variants.set(slot, variant);
    choice.append(select);
    const remove = makeButton("remove", "", () => removeSlot(slot));
    const cross = makeSvg("svg", "", remove);
    cross.setAttribute("viewBox", "0 0 16 16");
    cross.setAttribute("aria-hidden", "true");
    makeSvg("path", "", cross).setAttribute("d", "M4 4l8 8M12 4l-8 8");
    slot.append(make("span", "letter"), choice, variant.node, remove, make("p", "facts"));
    return slot;
  }

  /**
   * @param {Element} slot
   * @param {string} key
   * @param {number} index
   * @param {ModelCard[]} models
   * @param {boolean} removable
   */
  function drawSlot(slot, key, index, models, removable) {
    const [letter, choice, , remove, facts] = slot.children;
    const select = /** @type {HTMLSelectElement} */ (choice.firstChild);
    const looked = lookUp(key, models);
    const name = `Model ${String.fromCharCode(65 + index)}`;
    setText(letter, name.slice(-1));
    setAttribute(select, "aria-label", name);
    setAttribute(remove, "aria-label", `Remove model ${name.slice(-1)}`);
    fillModelSelect(select, models, looked.name);
    variants.get(slot)?.draw(looked, name.slice(-1));
    /** @type {HTMLButtonElement} */ (remove).disabled = !removable;
    setText(facts, looked.model ? factsOf(looked.model, looked) : "The file of this model has been removed.");
  }

  /** @param {ModelCard} model @param {import("./js/model_options.js").LookedUp} looked */
  function factsOf(model, { key, precision, inputSize, slices, state }) {
    if (!state) return NO_SUCH_PRECISION;
    const { tasks, facts, size } = model;
    const accuracy = facts.find(([name]) => name === "Box AP")?.join(" ");
    const measured = accuracy && [accuracy, precision === "fast" && "if exact", inputSize && "as trained", slices && "without slices"].filter(Boolean).join(" ");
    const download = { "to download": `${size} download`, "not on this machine": state }[state];
    return [tasks.join(", "), measured, download, costInWords(key, model)].filter(Boolean).join(" · ");
  }

  /** @param {Element} slot */
  const indexOf = (slot) => [...list.children].indexOf(slot);

  /**
   * A model that another slot has already changes places with the one that was here.
   * @param {number} index
   * @param {string} key
   * @returns {string[]}
   */
  function replaced(index, key) {
    const { selected } = props.value;
    return selected.map((/** @type {string} */ other, /** @type {number} */ i) => (i === index ? key : other === key ? selected[index] : other));
  }

  /** @param {string[]} selected */
  function choose(selected) {
    chosen.set(selected);
    draw();
    trigger("select", { keys: selected });
  }

  /** @param {Element} slot */
  function removeSlot(slot) {
    const index = indexOf(slot);
    choose(props.value.selected.filter((/** @type {string} */ _, /** @type {number} */ i) => i !== index));
    // The button has gone with its slot.
    (list.children[Math.min(index, list.children.length - 1)]?.querySelector("select") ?? add).focus();
  }

  /** The first model that is here already and not yet chosen, or any other, in A's precision: adding must not entail a download without need. */
  function nextModel() {
    const { models, selected } = props.value;
    const names = selected.map((/** @type {string} */ key) => splitKey(key).name);
    const free = models.filter((/** @type {ModelCard} */ { key }) => !names.includes(key)).map((/** @type {ModelCard} */ { key }) => keyIn({ ...splitKey(key), precision: splitKey(selected[0] ?? models[0].key).precision }, models));
    return free.find((/** @type {string} */ key) => ["in memory", "on disk"].includes(lookUp(key, models).state ?? "")) ?? free[0];
  }

  add.addEventListener("click", () => {
    choose([...props.value.selected, nextModel()]);
    list.lastElementChild?.querySelector("select")?.focus();
  });
  draw();
  watch("value", () => {
    chosen.receive();
    draw();
  });
}
