// A link that brings back the models, thresholds, IoU and class of an evaluation; link.py reads it. The data is not in it.

import { setText, show } from "../components/js/dom.js";
import { copyText } from "../components/js/feedback.js";

/** Address of this page with the settings. @param {import("./state.js").EvaluateState} state */
export function evaluationLink(state) {
  const { iou, iou_type, thresholds } = state.order();
  const models = state.models.filter(({ linkable }) => linkable).map(({ name }) => name);
  const label = state.label === null ? "" : state.result?.categories[state.label] ?? "";
  const settings = { models, iou, iou_type, label, thresholds: Object.fromEntries(models.map((name) => [name, thresholds[name]])) };
  return `${location.origin}${location.pathname}?tab=evaluate&settings=${encodeURIComponent(JSON.stringify(settings))}`;
}

/** The row that a button opens with the link in it, copied where the browser allows that. @param {Refs} ui @param {import("./state.js").EvaluateState} state */
export function createLink(ui, state) {
  async function write() {
    ui.linkField.value = evaluationLink(state);
    const isCopied = await copyText(ui.linkField.value);
    const left = state.models.filter(({ linkable }) => !linkable).map(({ title }) => title);
    const without = [...(state.result?.is_sample ? [] : ["the data"]), ...left].join(", ");
    setText(ui.linkText, `${isCopied ? "The link is copied." : "Copy this link."}${without ? ` It leaves out what is in this visit only: ${without}.` : ""}`);
    ui.linkField.focus();
    ui.linkField.select();
  }

  ui.link.addEventListener("click", () => {
    const opens = ui.linkRow.hasAttribute("hidden");
    show(ui.linkRow, opens);
    ui.link.setAttribute("aria-expanded", String(opens));
    if (opens) write();
  });
  ui.linkClose.addEventListener("click", () => {
    show(ui.linkRow, false);
    ui.link.setAttribute("aria-expanded", "false");
    ui.link.focus();
  });
}
