// Links that reproduce a comparison: settings under short names in an address; link.py reads them again.

import { thresholdOf } from "./selection.js";
import { setText, show } from "../components/js/dom.js";
import { copyText } from "../components/js/feedback.js";

/** @type {Record<string, string>} */
const LINK_NAMES = { rule: "rule", threshold: "t", top: "top", iou: "iou", mode: "mode", votes: "votes", opacity: "opacity", keypoint_threshold: "keypoints" };

/**
 * Address of this page with the image, the models that a link can bring back, and the settings that are not the `defaults`.
 * @param {string} image
 * @param {CompareModel[]} models
 * @param {CompareSettings} settings
 * @param {CompareSettings} defaults
 * @param {string[]} layers
 */
export function comparisonLink(image, models, settings, defaults, layers) {
  const ids = models.filter(({ linkable }) => linkable).map(({ id }) => id);
  // Encoded twice, because the list is separated by commas.
  const query = ["tab=compare", `image=${encodeURIComponent(image).replaceAll("%3A", ":")}`, `models=${ids.map((id) => encodeURIComponent(encodeURIComponent(id))).join(",")}`];
  const add = (/** @type {string} */ name, /** @type {unknown} */ value) => query.push(`${name}=${encodeURIComponent(String(value))}`);
  for (const [name, short] of Object.entries(LINK_NAMES)) {
    if (settings[name] !== defaults[name]) add(short, settings[name]);
  }
  const thresholds = models.filter(({ linkable }) => linkable).map((model) => thresholdOf(model, settings));
  if (settings.rule === "own") query.push(`ts=${thresholds.join(",")}`);
  const pair = (settings.pair ?? []).map((/** @type {string} */ id) => ids.indexOf(id));
  if (pair.length && !pair.includes(-1)) query.push(`pair=${pair.join(",")}`);
  const off = layers.filter((layer) => !settings[layer]);
  if (off.length) query.push(`off=${off.join(",")}`);
  if (settings.hidden_classes.length) add("hide", settings.hidden_classes.join("\n"));
  return `${location.origin}${location.pathname}?${query.join("&")}`;
}

const KEEP_QUESTION = "This image is in this visit only. To be in a link it must be kept on the server, without what the camera wrote into it; whoever has the link sees it.";
const NO_KEEPING = "No link can bring this image back: it is in this visit only. Choose an example to share a comparison.";

/**
 * The row that a button opens with the link in it, copied where the browser allows that.
 *
 * @param {Refs} ui
 * @param {() => { image: string, models: CompareModel[], settings: CompareSettings }} compared gives {image, models, settings}
 * @param {CompareSettings} defaults settings that need not be in a link
 * @param {string[]} layers
 * @param {(() => void) | null} onKeep asks for the image to be kept; null where the server keeps none
 * @returns {{ refresh: () => void }} to be called when the image has got a name
 */
export function createLinkRow(ui, compared, defaults, layers, onKeep) {
  const isOpen = () => !ui.linkRow.hasAttribute("hidden");

  /** @param {boolean} opens */
  function open(opens) {
    show(ui.linkRow, opens);
    ui.link.setAttribute("aria-expanded", String(opens));
  }

  async function write() {
    const { image, models, settings } = compared();
    show(ui.linkField, image !== "");
    show(ui.linkKeep, image === "" && onKeep !== null);
    if (!image) return setText(ui.linkText, onKeep ? KEEP_QUESTION : NO_KEEPING);
    ui.linkField.value = comparisonLink(image, models, settings, defaults, layers);
    const isCopied = await copyText(ui.linkField.value);
    const left = models.filter(({ linkable }) => !linkable).map(({ title }) => title);
    const without = left.length ? ` It leaves out what is in this visit only: ${left.join(", ")}.` : "";
    setText(ui.linkText, (isCopied ? "The link is copied." : "Copy this link.") + without);
    ui.linkField.focus();
    ui.linkField.select();
  }

  ui.link.addEventListener("click", () => {
    open(!isOpen());
    if (isOpen()) write();
  });
  ui.linkKeep.addEventListener("click", () => onKeep?.());
  ui.linkClose.addEventListener("click", () => {
    open(false);
    ui.link.focus();
  });

  return { refresh: () => isOpen() && write() };
}
