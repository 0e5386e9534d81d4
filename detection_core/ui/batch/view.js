// BatchView in the browser: keeps the images and their results, has them processed, and redraws without a server call.
//
// Python sends messages (see view.py); images go to it one at a time, through the queue. `receive` is the entrance, `redraw` the exit.

import { addCounts, inWords, visibleCount } from "../components/js/class_counts.js";
import { createSlider } from "../components/js/controls.js";
import { onThreshold, thresholdFor } from "../components/js/chosen_thresholds.js";
import { collectRefs, counted, debounce, formatScore, oncePerFrame, setAttribute, setText, show } from "../components/js/dom.js";
import { createExportMenu } from "../components/js/export_menu.js";
import { createAnnouncer, saveFile, showLines, writeError } from "../components/js/feedback.js";
import { viewIdOf } from "../components/js/kept.js";
import { isSameModel } from "../components/js/model_keys.js";
import { createAnnotationChoice } from "./annotations.js";
import { sortOut } from "./files.js";
import { createGallery } from "./gallery.js";
import { drawProgress } from "./progress.js";
import { createBatchQueue } from "./queue.js";
import { createSources } from "./sources.js";
import { BatchState } from "./state.js";
import { createBatchTable } from "./table.js";

const ANNOUNCE_DELAY = 500;
const PACKING_PATIENCE = 600000;
const KINDS_IN_SUMMARY = 5;

/** What each view has, for when Gradio builds its component anew; its queue continues meanwhile. @type {Map<string, BatchState>} */
const kept = new Map();

/** @param {Mounting} mounting */
export function mount({ element, props, trigger, server, upload, watch, constants }) {
  const ui = collectRefs(element);
  const { most, largest, readable, exportFormats, chosenFormats, numberedFormats } = constants;
  const viewId = viewIdOf(props);
  const state = kept.get(viewId) ?? begin();
  state.handlers = { changed: oncePerFrame(redraw), status: showStatus, ended };
  kept.set(viewId, state);

  /** @type {import("./gallery.js").Handlers} */
  const handlers = { onOpen: (image) => trigger("open", { batch: state.start?.batch, id: image.id }), onSelect: select };
  const gallery = createGallery(ui.gallery, handlers);
  const table = createBatchTable(ui.scroller.querySelector("table"), handlers);
  const slider = createSlider(ui.threshold, formatScore, (threshold) => change({ threshold }));
  const extra = createAnnotationChoice(ui, state, upload, numberedFormats, () => menu.draw());
  const sources = createSources(ui, add, () => trigger("examples"));
  const menu = createExportMenu(ui.download, exportFormats, download, { several: "Download ZIP", chosen: chosenFormats, extra });
  const announcer = createAnnouncer(ui.announcer, () => ui.count.textContent ?? "", ANNOUNCE_DELAY);
  const packingTimeout = debounce(() => menu.setBusy(false), PACKING_PATIENCE);

  function begin() {
    const fresh = new BatchState();
    fresh.queue = createBatchQueue({ upload, server, largest }, {
      changed: () => fresh.handlers.changed(),
      status: (status) => fresh.handlers.status(status),
      ended: (problem) => fresh.handlers.ended(problem),
    });
    return fresh;
  }

  // ---------------------------------------------------------------- messages from Python

  function receive() {
    const message = props.value;
    const isOurOwn = !message || message.notes === undefined;
    if (isOurOwn) return;
    writeError(ui, message.error);
    if (message.error) menu.setBusy(false);
    if (message.notes.length) showLines(ui.notes, [...state.notes, ...message.notes]);
    if (message.download) save(message.download, message.download_name);
    if (message.examples) sources.takeExamples(message.examples);
    if (message.start && message.start.turn !== state.start?.turn) detect(message.start);
    commit();
  }

  function commit() {
    props.value = { batch: state.start?.batch ?? "", view: viewId };
  }

  /** Has the model process all images that it has not processed yet. @param {BatchStart} start */
  function detect(start) {
    if (!isSameModel(state.start?.model.key, start.model.key)) state.threshold = thresholdFor(start.model.key, start.threshold);
    const remaining = state.take(start);
    showLines(ui.notes, state.notes);
    drawModel();
    if (!state.images.length) return writeError(ui, { title: "No images yet", text: "Drop some here, or choose them or a folder." });
    if (remaining.length) state.queue.start(start.batch, remaining);
    redraw();
  }

  function drawModel() {
    if (!state.start) return;
    setText(ui.model, state.start.model.title);
    setText(ui.defaultThreshold, `Default ${formatScore(state.start.threshold)}`);
    state.threshold = slider.set(state.threshold, Math.floor(state.start.floor * 100) / 100);
  }

  // ---------------------------------------------------------------- images come and go

  /** @param {ChosenFile[]} files */
  function add(files) {
    const { taken, notes } = sortOut(files, (found) => state.has(found), most - state.images.length, most);
    writeError(ui, null);
    state.notes = notes;
    showLines(ui.notes, notes);
    state.add(taken);
    redraw();
    if (taken.length) trigger("begin");
  }

  /** @param {BatchImage} image @param {boolean} selected */
  function select(image, selected) {
    image.selected = selected;
    redraw();
  }

  /** @param {boolean} selected */
  function selectAll(selected) {
    for (const image of state.images) image.selected = selected;
    redraw();
  }

  function removeSelected() {
    const removed = state.images.filter((image) => image.selected);
    state.queue.drop(removed);
    server.forget({ batch: state.start?.batch ?? "", images: removed.map(({ id }) => id) });
    state.images = state.images.filter((image) => !image.selected);
    state.notes = [];
    showLines(ui.notes, []);
    redraw();
  }

  // ---------------------------------------------------------------- while it runs

  /** @param {ViewStatus | null} status */
  function showStatus(status) {
    state.status = status;
    state.handlers.changed();
  }

  /** @param {import("./queue.js").BatchProblem | null} problem */
  function ended(problem) {
    const { expired, unavailable } = problem ?? {};
    if (unavailable) writeError(ui, unavailable);
    if (expired && state.start) {
      state.start = { ...state.start, batch: "" };
      commit();
      writeError(ui, { title: "The results are gone", text: expired });
    }
    trigger("finished");
    redraw();
  }

  // ---------------------------------------------------------------- redrawing

  /** @param {Partial<BatchState>} patch */
  function change(patch) {
    Object.assign(state, patch);
    state.handlers.changed();
  }

  function redraw() {
    const { images, threshold, mode } = state;
    const categories = state.start?.categories ?? {};
    const isEmpty = !images.length;
    show(ui.empty, isEmpty);
    for (const part of [ui.toolbar, ui.head]) show(part, !isEmpty);
    show(ui.gallery, !isEmpty && mode === "gallery");
    show(ui.scroller, !isEmpty && mode === "table");
    for (const button of ui.modes.children) setAttribute(button, "aria-pressed", button.dataset.mode === mode);
    (mode === "gallery" ? gallery : table).draw(images, threshold, categories);
    drawSummary();
    drawChoice();
    drawProgress(ui, state);
  }

  function drawSummary() {
    const { images, threshold, start } = state;
    const done = images.filter((image) => image.result);
    const failures = images.filter((image) => image.state === "failed").length;
    const counts = new Map();
    for (const image of done) addCounts(counts, image, visibleCount(image, threshold));
    const parts = [counted(images.length, "image")];
    if (done.length) parts.push(inWords(counts, start?.categories ?? {}, KINDS_IN_SUMMARY));
    if (failures) parts.push(`${failures} failed`);
    setText(ui.count, parts.join(" · "));
    show(ui.threshold, done.length > 0);
    if (start) ui.defaultThreshold.disabled = Math.abs(threshold - start.threshold) < 0.005;
    announcer.summarizeSoon();
  }

  function drawChoice() {
    const chosen = state.images.filter((image) => image.selected);
    setText(ui.choice, `${chosen.length} chosen`);
    ui.chooseAll.disabled = chosen.length === state.images.length;
    ui.chooseNone.disabled = ui.remove.disabled = !chosen.length;
    const results = chosen.flatMap(({ result }) => result ?? []);
    ui.download.disabled = !results.length;
    const keys = exportFormats.map((/** @type {ExportFormat} */ { key }) => key);
    menu.setAvailable(keys.filter((/** @type {string} */ key) => results.every(({ formats }) => formats.includes(key))), "This model's results have nothing for it.");
  }

  // ---------------------------------------------------------------- download

  /** Asks Python for an archive; it answers with a message that has a `download`, and the browser saves that file. @param {string[]} formats */
  function download(formats) {
    const images = state.images.filter(({ selected, result }) => selected && result).map(({ id }) => id);
    menu.setBusy(true);
    packingTimeout();
    trigger("download", { batch: state.start?.batch, images, formats, threshold: state.threshold, annotations: state.annotations });
  }

  let saved = "";
  /** @param {FileData} file @param {string} name */
  async function save(file, name) {
    // Gradio sends an event's last message twice.
    if (saved === file.path) return;
    saved = file.path;
    const failure = await saveFile(file, name);
    if (failure) writeError(ui, failure);
    menu.setBusy(false);
  }

  // ---------------------------------------------------------------- wiring

  for (const button of ui.modes.children) button.addEventListener("click", () => change({ mode: button.dataset.mode }));
  ui.chooseAll.addEventListener("click", () => selectAll(true));
  ui.chooseNone.addEventListener("click", () => selectAll(false));
  ui.remove.addEventListener("click", removeSelected);
  ui.cancel.addEventListener("click", () => state.queue.stop());
  onThreshold("batch", (key, threshold) => { if (isSameModel(key, state.start?.model.key)) change({ threshold: slider.set(threshold) }); });
  ui.defaultThreshold.addEventListener("click", () => state.start && change({ threshold: slider.set(state.start.threshold) }));

  setText(ui.limits, `Up to ${most} images at a time, each up to ${Math.round(largest / 2 ** 20)} MB: ${readable}. If a file cannot be read, its card says why; the rest goes on.`);
  drawModel();
  showLines(ui.notes, state.notes);
  redraw();
  receive();
  commit();
  watch("value", receive);
}
