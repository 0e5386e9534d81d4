// EvaluateView in the browser: takes the results from Python, and computes and draws everything that depends on a threshold without it.

import { createChoice } from "../components/js/controls.js";
import { collectRefs, counted, debounce, formatScore, make, makeButton, oncePerFrame, setAttribute, setText, show } from "../components/js/dom.js";
import { createExportMenu } from "../components/js/export_menu.js";
import { bringIntoView, saveFile, showLines, writeError, writeStatus } from "../components/js/feedback.js";
import { viewIdOf } from "../components/js/kept.js";
import { chooseThreshold } from "../components/js/chosen_thresholds.js";
import { drawAccuracyTime, responsive } from "./charts.js";
import { createDetails } from "./details.js";
import { createDuel } from "./duel.js";
import { createGallery } from "./gallery.js";
import { createMapping } from "./mapping.js";
import { createMatrix } from "./matrix.js";
import { createImageDialog } from "./image_dialog.js";
import { createLink } from "./link.js";
import { EvaluateState, letterOf } from "./state.js";
import { drawClasses, drawTables } from "./tables.js";
import { createThresholds } from "./thresholds.js";

const IOUS = [0.1, 0.3, 0.5, 0.6, 0.75, 0.9];
const PATIENCE = 120000;
/** @type {Record<string, string>} */
const TASKS = { bbox: "boxes", segm: "masks", keypoints: "keypoints" };

/** What each view has, for when Gradio builds its component anew. @type {Map<string, EvaluateState>} */
const kept = new Map();

/** @param {Mounting} mounting */
export function mount({ element, props, trigger, server, watch, constants }) {
  const ui = collectRefs(element);
  const viewId = viewIdOf(props);
  const state = kept.get(viewId) ?? new EvaluateState();
  kept.set(viewId, state);
  const hook = { lastRedrawMs: 0, redraws: 0 };
  const redrawSoon = oncePerFrame(redraw);

  const dialog = createImageDialog(ui.imageDialog, state, server);
  const cellParts = { section: ui.cellSection, title: ui.cellTitle, list: ui.cellList, more: ui.cellMore };
  const cellGallery = createGallery(cellParts, server, constants.mostCrops, (objects, at) => dialog.open(objects, at, state.shown));
  const pairParts = { section: ui.pairSection, title: ui.pairTitle, list: ui.pairList, more: ui.pairMore };
  const pairGallery = createGallery(pairParts, server, constants.mostCrops, (objects, at) => dialog.open(objects, at, state.pair[state.kindOfPair === "onlyA" ? 1 : 0]));
  const thresholds = createThresholds(ui, state, { onChange: redrawSoon, onUse: useThreshold });
  const matrix = createMatrix(ui, state, drawCell);
  const details = createDetails(ui, state);
  const imageParts = { section: ui.imageSection, title: ui.imageTitle, list: ui.imageList, more: ui.imageMore };
  const imageGallery = createGallery(imageParts, server, constants.mostCrops, (objects, at) => dialog.open(objects, at, state.pair[1]));
  const duel = createDuel(ui, state, { pairs: pairGallery, images: imageGallery }, redrawSoon);
  const mapping = createMapping(ui, state, () => ask("again"));
  createLink(ui, state);
  const menu = createExportMenu(ui.download, constants.exportFormats, ([format]) => download(format));
  const packingTimeout = debounce(() => menu.setBusy(false), PATIENCE);
  const types = createChoice(ui.types, (iou_type) => look({ iou_type }));
  const shares = createChoice(ui.shares, (choice) => {
    state.asShares = choice === "shares";
    drawMatrix();
  });
  const drawCosts = responsive(ui.costChart, (width) => drawAccuracyTime(ui.costChart, costDots(), width));

  // ---------------------------------------------------------------- messages from Python

  function receive() {
    const message = props.value;
    const isOurOwn = !message || message.notes === undefined;
    if (isOurOwn) return;
    writeStatus(ui, message.status);
    writeError(ui, message.error);
    if (message.error) menu.setBusy(false);
    if (message.link) state.takeLink(message.link);
    if (message.result && message.turn !== state.turn) take(message);
    if (message.notes.length) showLines(ui.notes, message.notes);
    if (message.download) save(message.download, message.download_name);
    drawSections();
    commit();
  }

  function commit() {
    props.value = { order: state.order(), view: viewId };
  }

  /** @param {{ result: EvaluationResult, turn: string }} message */
  function take({ result, turn }) {
    const isFirst = !state.result;
    state.turn = turn;
    state.take(result);
    state.notes = [...result.notes, ...result.failed.map(({ name, reason }) => `${name} is not evaluated: ${reason}`), ...result.models.flatMap(({ title, notes }) => notes.map((note) => `${title}: ${note}`))];
    rebuild();
    setText(ui.announcer, `Evaluated. ${result.models.map(({ title, summary }) => `${title}: AP ${(summary.AP ?? 0).toFixed(3)}`).join(", ")}.`);
    if (isFirst) bringIntoView(ui.root);
  }

  // ---------------------------------------------------------------- drawing

  /** Everything that other results change. */
  function rebuild() {
    const { result } = state;
    if (!result) return;
    drawSections();
    showLines(ui.notes, state.notes);
    thresholds.build();
    duel.build();
    mapping.build();
    buildShown();
    drawTables(ui, state);
    const ious = [...new Set([...IOUS, result.iou])].filter((iou) => iou >= constants.lowestIou).sort((a, b) => a - b);
    ui.iou.replaceChildren(...ious.map((iou) => Object.assign(make("option", "", formatScore(iou)), { value: String(iou) })));
    ui.iou.value = String(result.iou);
    const span = result.resamples ? ` Below each, the interval of 95 % of ${result.resamples} resampled sets of images.` : "";
    const sizes = result.iou_type === "keypoints" ? "M and L: objects of 32² to 96² pixels, and larger ones." : "S, M and L: objects of less than 32² pixels, of up to 96², and larger ones.";
    setText(ui.summaryWords, `AP and AR of ${TASKS[result.iou_type]} as COCO defines them, over ${result.images.length.toLocaleString("en")} images. AP is the mean over IoUs from 0.50 to 0.95. ${sizes}${span}`);
    types.update(result.iou_type, (choice) => result.tasks.includes(TASKS[choice]));
    const dots = costDots();
    show(ui.costFigure, dots.length > 0);
    if (dots.length) drawCosts();
    redraw();
  }

  function drawSections() {
    show(ui.empty, !state.result && !props.value?.status);
    show(ui.body, Boolean(state.result));
    show(ui.toolbar, Boolean(state.result));
  }

  function costDots() {
    return state.models.flatMap(({ title, summary, cost }, place) =>
      cost.seconds === null || summary.AP === null ? [] : [{ place, letter: letterOf(place), title, ms: 1000 * cost.seconds, ap: summary.AP }],
    );
  }

  function buildShown() {
    show(ui.shownBar, state.models.length > 1);
    ui.shown.replaceChildren(
      ...state.models.map(({ title }, place) => {
        const button = makeButton("", `${letterOf(place)} ${title}`, () => {
          state.shown = place;
          for (const [i, other] of [...ui.shown.children].entries()) setAttribute(other, "aria-pressed", i === place);
          drawTables(ui, state);
          details.draw();
          redraw();
        });
        setAttribute(button, "aria-pressed", place === state.shown);
        return button;
      }),
    );
    details.draw();
  }

  /** What a threshold changes. */
  function redraw() {
    if (!state.result) return;
    const start = performance.now();
    thresholds.draw();
    drawMatrix();
    duel.draw();
    drawClassesSoon();
    commitSoon();
    hook.lastRedrawMs = performance.now() - start;
    hook.redraws += 1;
  }

  function drawMatrix() {
    shares.update(state.asShares ? "shares" : "counts");
    matrix.draw();
    if (state.cell) showCell();
    else show(ui.cellSection, false);
  }

  function drawCell() {
    drawMatrix();
    if (state.cell) ui.cellSection.scrollIntoView({ block: "nearest" });
  }

  function showCell() {
    const { result, shown } = state;
    if (!result) return;
    const { detections } = result.models[shown];
    const { objects, categories } = result;
    const items = matrix.entries().map(({ object, detection }) => ({
      image: object >= 0 ? objects.image[object] : detections.image[detection],
      annotated: object >= 0 ? objects.box[object] : null,
      detected: detection >= 0 ? detections.box[detection] : null,
      label: categories[detection >= 0 ? detections.label[detection] : objects.label[object]],
      score: detection >= 0 ? detections.score[detection] : null,
    }));
    cellGallery.set(`${matrix.title()}: ${counted(items.length, "object")}`, items, result);
  }

  // ---------------------------------------------------------------- requests

  const commitSoon = debounce(commit, 300);
  // Not at each step of a slider: it has a row for each class.
  const drawClassesSoon = debounce(() => drawClasses(ui, state), 150);

  /** @param {string} event */
  function ask(event) {
    commit();
    trigger(event, state.order());
  }

  /** @param {{ iou_type?: string, iou?: number }} wanted */
  function look(wanted) {
    writeStatus(ui, { text: "Computing the figures" });
    trigger("look", { ...state.order(), ...wanted });
  }

  /** @param {string} format */
  function download(format) {
    menu.setBusy(true);
    packingTimeout();
    trigger("download", { ...state.order(), format });
  }

  let saved = "";
  /** @param {FileData} file @param {string} name */
  async function save(file, name) {
    // Gradio sends an event's last message twice.
    if (saved === file.url) return;
    saved = file.url;
    writeError(ui, await saveFile(file, name));
    menu.setBusy(false);
  }

  /** @param {number} place */
  function useThreshold(place) {
    const { name, title } = state.models[place];
    const { all } = state.thresholdsOf(place);
    chooseThreshold(name, all);
    setText(ui.announcer, `${title} starts with a threshold of ${formatScore(all)} in the other tabs.`);
  }

  ui.iou.addEventListener("change", () => look({ iou: Number(ui.iou.value) }));
  Object.assign(element, { evaluateHook: hook });
  rebuild();
  receive();
  commit();
  watch("value", receive);
}
