// One of the data's images in a dialog, as the Detect tab shows it: what is annotated in blue, what a model detects in orange and dashed,
// and the object in question in the middle. It goes through the objects of the gallery from which it was opened.

import { collectRefs, counted, setText, show } from "../components/js/dom.js";
import { createImage } from "../detect/image.js";

const ANNOTATED = "#0072B2";
const DETECTED = "#E69F00";
/** @type {Record<string, number>} */
const STEPS = { n: 1, N: 1, p: -1, P: -1 };

/** @typedef {import("./gallery.js").Shown} Shown */
/** @typedef {{ polygons?: number[][], keypoints?: number[][] }} Shape */
/** @typedef {{ url: string, objects: Record<number, Shape>, detections: Record<number, Shape>, edges: Edge[], keypoint_names: string[] }} ImageShapes */
/** @typedef {Drawn & { source: Box, partner: Box | null }} Compared `source` is its box in the results, `partner` that of the object which a detection finds */

/**
 * @param {HTMLDialogElement} dialog
 * @param {import("./state.js").EvaluateState} state
 * @param {Mounting["server"]} server
 */
export function createImageDialog(dialog, state, server) {
  const ui = collectRefs(dialog);
  const say = (/** @type {string} */ words) => setText(ui.imageSaid, words);
  const image = createImage(ui, { onActive() {}, onSelected() {}, onCamera() {}, onSay: say, partnersOf });
  /** @type {Compared[]} */
  let objects = [];
  /** @type {{ items: Shown[], at: number, model: number }} */
  let opened = { items: [], at: 0, model: 0 };
  /** What the server has sent last. @type {{ key: string, shapes: ImageShapes | null }} */
  let known = { key: "", shapes: null };

  const item = () => opened.items[opened.at];
  const boxesInQuestion = () => [item()?.detected, item()?.annotated].filter((box) => box);

  /** Of a detection what it finds, of an object what finds it, and both of the pair in question. @param {number} index */
  function partnersOf(index) {
    const { source, partner } = objects[index];
    const pair = boxesInQuestion();
    const belongs = (/** @type {Compared} */ other) => other.source === partner || other.partner === source || (pair.includes(source) && pair.includes(other.source));
    return objects.flatMap((other, i) => (belongs(other) ? [i] : []));
  }

  /**
   * @param {Shown[]} items a gallery's objects
   * @param {number} at the one in question
   * @param {number} model the place of the model whose detections are shown
   */
  function open(items, at, model) {
    opened = { items, at, model };
    // For other results, and another image of the same place.
    if (!dialog.open) known = { key: "", shapes: null };
    if (!dialog.open) dialog.showModal();
    ui.frame.focus();
    step(0);
  }

  /** @param {number} by how many objects further */
  async function step(by) {
    const { result } = state;
    const at = opened.at + by;
    if (!result || !opened.items[at]) return;
    opened.at = at;
    ui.previousObject.disabled = at === 0;
    ui.nextObject.disabled = at === opened.items.length - 1;
    // A button that is disabled gets no keys.
    if ([ui.previousObject, ui.nextObject].some((button) => button.disabled && button === document.activeElement)) ui.frame.focus();
    setText(ui.place, `${at + 1} of ${opened.items.length.toLocaleString("en")}`);
    const { image: place } = item();
    setText(ui.imageName, result.images[place].name);
    const { all, byLabel } = state.thresholdsOf(opened.model);
    const wanted = { image: place, model: result.models[opened.model].name, lowest: Math.min(all, ...byLabel.values()) };
    const key = JSON.stringify([result.evaluation, result.iou_type, wanted]);
    if (known.key === key && known.shapes) return focus();
    known = { key, shapes: null };
    clear();
    const answer = await server.whole_image({ evaluation: result.evaluation, iou_type: result.iou_type, ...wanted }).catch(() => null);
    if (known.key !== key) return;
    if (!answer?.url) return setText(ui.imageWords, answer?.error ?? "The server does not answer.");
    known.shapes = answer;
    build(result, place, answer);
    focus();
  }

  function clear() {
    objects = [];
    image.clear();
    image.setObjects(null);
    setText(ui.imageWords, "");
  }

  /** @param {EvaluationResult} result @param {number} place the image's @param {ImageShapes} shapes */
  function build(result, place, shapes) {
    const { name, width, height } = result.images[place];
    const { detections, title } = result.models[opened.model];
    const { label, box, image: images } = result.objects;
    const thresholdOf = state.thresholdOf(opened.model);
    objects = [];
    images.forEach((each, i) => {
      if (each === place && box[i]) objects.push({ ...drawn(result.categories[label[i]], box[i], null, null), ...shapes.objects[i] });
    });
    const annotated = objects.length;
    detections.image.forEach((each, i) => {
      const [source, score, own] = [detections.box[i], detections.score[i], detections.label[i]];
      if (each !== place || !source || score < thresholdOf(own)) return;
      objects.push({ ...drawn(result.categories[own], source, score, box[detections.partner[i]] ?? null), ...shapes.detections[i] });
    });
    image.setImage({ image: /** @type {FileData} */ ({ url: shapes.url }), width, height });
    ui.image.alt = `${name} with what is annotated and what ${title} detects`;
    image.setObjects(/** @type {any} */ ({ objects, edges: shapes.edges, keypoint_names: shapes.keypoint_names }));
    // Polygons show more, and boxes would hide them.
    image.setStyle(/** @type {any} */ ({ masks: true, contours: true, boxes: result.iou_type !== "segm", skeletons: true, labels: true, opacity: 0.3 }));
    image.setKeypointThreshold(0);
    setText(ui.imageWords, `${counted(annotated, "object")} annotated, ${objects.length - annotated} detected by ${title}.`);
  }

  /** Shows the object in question in the middle, or the whole image if there is none. */
  function focus() {
    draw();
    const [source] = boxesInQuestion();
    const index = objects.findIndex((object) => object.source === source);
    image.measure();
    image.select(index);
    if (index >= 0) image.center(index);
    else ui.zoomFit.click();
    show(ui.objectKeys, opened.items.length > 1);
    say(`${item().label}, ${opened.at + 1} of ${opened.items.length}`);
  }

  const isShown = (/** @type {Compared} */ { annotated }) => (annotated ? ui.showAnnotated : ui.showDetected).getAttribute("aria-pressed") === "true";

  function draw() {
    objects.forEach((object, i) => image.setVisible(i, isShown(object)));
    image.forgetHidden();
    image.emphasize();
  }

  for (const button of [ui.showAnnotated, ui.showDetected]) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      draw();
    });
  }
  ui.previousObject.addEventListener("click", () => step(-1));
  ui.nextObject.addEventListener("click", () => step(1));
  dialog.addEventListener("keydown", ({ key, altKey, ctrlKey, metaKey }) => {
    if (key in STEPS && !altKey && !ctrlKey && !metaKey) step(STEPS[key]);
  });
  ui.closeImage.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return { open };
}

/**
 * @param {string} name
 * @param {Box} source [x, y, width, height]
 * @param {number | null} score null if it is annotated
 * @param {Box | null} partner
 * @returns {Compared}
 */
function drawn(name, source, score, partner) {
  const [x, y, width, height] = source;
  const annotated = score === null;
  return {
    name,
    score: score ?? 1,
    annotated,
    box: [x, y, x + width, y + height],
    area: width * height,
    color: annotated ? ANNOTATED : DETECTED,
    look: annotated ? "ev-annotated" : "ev-detected",
    source,
    partner,
  };
}
