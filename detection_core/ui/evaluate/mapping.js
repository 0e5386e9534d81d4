// Which class of a model stands for which class of the data: by name, or as the visitor wants.

import { make, setText, show } from "../components/js/dom.js";
import { modelName } from "./tables.js";

/**
 * @param {Refs} ui
 * @param {import("./state.js").EvaluateState} state
 * @param {() => void} onApply
 */
export function createMapping(ui, state, onApply) {
  /** @type {Record<string, Record<string, string | null>>} */
  let changes = {};

  function build() {
    changes = structuredClone(state.changes);
    ui.mappings.replaceChildren(...state.models.map(buildModel));
    show(ui.applyMapping, false);
  }

  /** @param {EvaluatedModel} model @param {number} place */
  function buildModel(model, place) {
    const { partners, left_out, not_detected, title } = model;
    const details = make("details");
    const summary = make("summary");
    const count = Object.keys(partners).length;
    const facts = [count === 1 ? "1 class is mapped" : `${count} classes are mapped`];
    if (not_detected.length) facts.push(`not detected: ${shortList(not_detected)}`);
    if (left_out.length) facts.push(`left out: ${shortList(left_out)}`);
    summary.append(modelName(title, place), make("span", "ev-faint", ` ${facts.join("; ")}.`));
    details.append(summary);
    // A list of eighty classes with eighty choices each is made only when it is opened.
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(buildTable(model));
    });
    return details;
  }

  /** @param {EvaluatedModel} model */
  function buildTable({ name, title, partners, left_out }) {
    const list = make("ul", "ev-mapping");
    const data = state.result?.categories.slice(1) ?? [];
    for (const own of [...Object.keys(partners), ...left_out]) {
      const item = make("li");
      const label = make("label");
      const select = make("select");
      select.append(...["", ...data].map((value) => Object.assign(make("option", "", value || "left out"), { value })));
      select.value = partners[own] ?? "";
      select.setAttribute("aria-label", `The data's class for ${own} of ${title}`);
      select.addEventListener("change", () => {
        changes[name] = { ...changes[name], [own]: select.value || null };
        show(ui.applyMapping, true);
      });
      label.append(make("span", "", own), make("span", "ev-faint", "→"), select);
      item.append(label);
      list.append(item);
    }
    return list;
  }

  ui.applyMapping.addEventListener("click", () => {
    state.changes = changes;
    onApply();
  });
  setText(ui.mappingWords, "Classes are mapped by name. Open a model to map one of its classes to another class of the data, or to leave it out. No model runs again.");
  return { build };
}

/** @param {string[]} names */
const shortList = (names) => `${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}`;
