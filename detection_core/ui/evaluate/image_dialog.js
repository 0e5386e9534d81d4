// One of the data's images in full, in a dialog: what is annotated in blue, what a model detects in orange and dashed.

import { collectRefs, counted, formatScore, make, makeSvg, setText, show } from "../components/js/dom.js";
import { createLabels } from "../components/js/labels.js";
import { createOverlay } from "../components/js/overlay.js";
import { createViewport } from "../components/js/viewport.js";

const ANNOTATED = "#0072B2";
const DETECTED = "#E69F00";

/** @typedef {{ polygons?: number[][], keypoints?: number[][] }} Shape */
/** @typedef {{ objects: Record<number, Shape>, detections: Record<number, Shape>, edges: Edge[], keypoint_names: string[] }} ImageShapes */

/**
 * @param {HTMLDialogElement} dialog
 * @param {import("./state.js").EvaluateState} state
 * @param {Mounting["server"]} server
 */
export function createImageDialog(dialog, state, server) {
  const ui = collectRefs(dialog);
  const overlay = createOverlay(makeSvg("svg", "dv-overlay", ui.imageFrame));
  const labelLayer = make("div", "dv-labels");
  ui.imageFrame.append(labelLayer);
  const labels = createLabels(labelLayer);
  /** @type {(Drawn & { label: string })[]} */
  let objects = [];
  let opened = { image: -1, place: 0 };
  const viewport = createViewport(ui.imageFrame, place, () => {});

  /** @param {{ scale: number, x: number, y: number }} camera */
  function place(camera) {
    overlay.setCamera(camera);
    ui.image.style.transform = `translate(${camera.x}px, ${camera.y}px) scale(${camera.scale})`;
    const { width, height } = viewport.size();
    labels.layout(shownOnes(), (i) => viewport.toFrame(objects[i].box), width, height);
  }

  const isShown = (/** @type {number} */ i) => (objects[i].look === "ev-annotated" ? ui.showAnnotated : ui.showDetected).getAttribute("aria-pressed") === "true";
  const shownOnes = () => [...objects.keys()].filter(isShown);

  /**
   * @param {number} image
   * @param {number} model
   */
  async function open(image, model) {
    const { result } = state;
    if (!result) return;
    opened = { image, place: model };
    const { name, width, height } = result.images[image];
    setText(ui.imageName, name);
    setText(ui.imageWords, "");
    Object.assign(ui.image.style, { width: `${width}px`, height: `${height}px` });
    ui.image.removeAttribute("src");
    show(ui.image, false);
    objects = [];
    overlay.setObjects(null);
    labels.setObjects([], () => "");
    if (!dialog.open) dialog.showModal();
    const { all, byLabel } = state.thresholdsOf(model);
    const wanted = { image, model: result.models[model].name, lowest: Math.min(all, ...byLabel.values()) };
    const answer = await server.whole_image({ evaluation: result.evaluation, iou_type: result.iou_type, ...wanted }).catch(() => null);
    if (opened.image !== image || opened.place !== model) return;
    if (!answer?.url) return setText(ui.imageWords, answer?.error ?? "The server does not answer.");
    ui.image.src = answer.url;
    show(ui.image, true);
    ui.image.alt = `${name} with what is annotated and what ${result.models[model].title} detects`;
    viewport.setImage(width, height);
    build(result, image, model, answer);
  }

  /** @param {EvaluationResult} result @param {number} image @param {number} model @param {ImageShapes} shapes */
  function build(result, image, model, shapes) {
    const { detections, title } = result.models[model];
    const { label, box, image: images } = result.objects;
    const thresholdOf = state.thresholdOf(model);
    objects = [];
    images.forEach((each, i) => {
      if (each === image && box[i]) objects.push({ ...drawn(result.categories[label[i]], box[i], null), ...shapes.objects[i] });
    });
    const annotated = objects.length;
    detections.image.forEach((each, i) => {
      if (each === image && detections.box[i] && detections.score[i] >= thresholdOf(detections.label[i])) objects.push({ ...drawn(result.categories[detections.label[i]], detections.box[i], detections.score[i]), ...shapes.detections[i] });
    });
    overlay.setObjects({ objects, edges: shapes.edges, keypoint_names: shapes.keypoint_names });
    // Outlines say more, and boxes would hide them.
    overlay.setLayer("boxes", result.iou_type !== "segm");
    overlay.setOpacity(0.3);
    overlay.setKeypointThreshold(0);
    labels.setObjects(objects, (object) => object.label);
    setText(ui.imageWords, `${counted(annotated, "object")} annotated, ${objects.length - annotated} detected by ${title}.`);
    draw();
  }

  function draw() {
    objects.forEach((_, i) => overlay.setVisible(i, isShown(i)));
    viewport.measure();
  }

  for (const button of [ui.showAnnotated, ui.showDetected]) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      draw();
    });
  }
  ui.closeImage.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return { open };
}

/** @param {string} name @param {Box | null} box [x, y, width, height] @param {number | null} score @returns {Drawn & { label: string }} */
function drawn(name, box, score) {
  const [x, y, width, height] = box ?? [0, 0, 0, 0];
  const isAnnotated = score === null;
  return {
    name,
    score: score ?? 1,
    box: [x, y, x + width, y + height],
    area: width * height,
    color: isAnnotated ? ANNOTATED : DETECTED,
    look: isAnnotated ? "ev-annotated" : "ev-detected",
    label: isAnnotated ? name : `${name} ${formatScore(score)}`,
  };
}
