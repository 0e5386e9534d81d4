// BatchView in the browser: keeps the images and their results, has them looked at, and redraws without a server call.
//
// Gradio runs this as the body of a function (element, trigger, props, server, upload, watch), after the parts in js/. Python sends
// messages (see batch_view.py); images go to it one at a time, through the queue. `receive` is the entrance, `redraw` the exit.

import { chosenFiles, droppedFiles, sortOut } from "./files.js";
import { createGallery } from "./gallery.js";
import { createBatchQueue } from "./queue.js";
import { createBatchTable } from "./table.js";
import { addCounts, inWords, visibleCount } from "../components/js/class_counts.js";
import { createSlider } from "../components/js/controls.js";
import { collectRefs, counted, debounce, formatScore, oncePerFrame, setAttribute, setText, show } from "../components/js/dom.js";
import { createDropZone } from "../components/js/drop_zone.js";
import { createExportMenu } from "../components/js/export_menu.js";
import { saveFile, showLines, writeError } from "../components/js/feedback.js";
import { isSameModel } from "../components/js/model_keys.js";

export function mount({ element, props, trigger, server, upload, watch, constants }) {
  const ANNOUNCE_DELAY = 500;
  const PACKING_PATIENCE = 600000;
  const KINDS_IN_SUMMARY = 5;

  const ui = collectRefs(element);
  // Gradio builds the component anew when its tab changes; what each view has waits here for that, and its queue goes on.
  const kept = (window.batchViews ??= new Map());
  const viewId = props.value?.view ?? Math.random().toString(36).slice(2);
  const state = kept.get(viewId) ?? begin();
  state.tell = { changed: oncePerFrame(redraw), status, ended };
  kept.set(viewId, state);

  const handlers = { onOpen: (image) => trigger("open", { batch: state.start.batch, id: image.id }), onSelect: select };
  const gallery = createGallery(ui.gallery, handlers);
  const table = createBatchTable(ui.scroller.querySelector("table"), handlers);
  const slider = createSlider(ui.threshold, formatScore, (threshold) => change({ threshold }));
  const menu = createExportMenu(ui.download, constants.exportFormats, download, { several: "Download ZIP", chosen: constants.chosenFormats });
  const announce = debounce(() => setText(ui.announcer, ui.count.textContent), ANNOUNCE_DELAY);
  const packingTimeout = debounce(() => menu.setBusy(false), PACKING_PATIENCE);

  function begin() {
    const fresh = { images: [], start: null, threshold: 0.5, mode: "gallery", number: 0, notes: [], status: null, tell: null };
    const tell = Object.fromEntries(["changed", "status", "ended"].map((name) => [name, (...told) => fresh.tell[name](...told)]));
    fresh.queue = createBatchQueue({ upload, server, largest: constants.largest }, tell);
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
    if (message.start && message.start.turn !== state.start?.turn) look(message.start);
    commit();
  }

  function commit() {
    props.value = { batch: state.start?.batch ?? "", view: viewId };
  }

  /** Has the model look at everything that it has not looked at yet. */
  function look(start) {
    const isOther = !isSameModel(state.start?.model.key, start.model.key);
    if (state.start?.batch !== start.batch) for (const image of state.images) Object.assign(image, { state: "waiting", result: null });
    state.start = start;
    showLines(ui.notes, state.notes);
    if (isOther) state.threshold = start.threshold;
    drawModel();
    if (!state.images.length) return writeError(ui, { title: "No images yet", text: "Drop some here, or choose them or a folder." });
    for (const image of state.images) if (image.state === "failed") Object.assign(image, { state: "waiting", error: "" });
    const unseen = state.images.filter((image) => image.state !== "done");
    if (unseen.length) state.queue.start(start.batch, unseen);
    redraw();
  }

  function drawModel() {
    if (!state.start) return;
    setText(ui.model, state.start.model.title);
    setText(ui.defaultThreshold, `Default ${formatScore(state.start.threshold)}`);
    state.threshold = slider.set(state.threshold, Math.floor(state.start.floor * 100) / 100);
  }

  // ---------------------------------------------------------------- images come and go

  function add(files) {
    const same = ({ file, name }, image) => image.name === name && image.file.size === file.size && image.file.lastModified === file.lastModified;
    const isKnown = (found) => state.images.some((image) => same(found, image));
    const { taken, notes } = sortOut(files, isKnown, constants.most - state.images.length, constants.most);
    writeError(ui, null);
    state.notes = notes;
    showLines(ui.notes, notes);
    for (const { file, name } of taken) {
      state.images.push({ id: `image-${state.number++}`, file, name, path: "", state: "waiting", error: "", result: null, selected: true });
    }
    redraw();
    if (taken.length) trigger("begin");
  }

  function select(image, selected) {
    image.selected = selected;
    redraw();
  }

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

  // ---------------------------------------------------------------- while it looks

  function status(news) {
    state.status = news;
    state.tell.changed();
  }

  function ended(expired) {
    if (expired) {
      state.start = { ...state.start, batch: "" };
      commit();
      writeError(ui, { title: "The results are gone", text: expired });
    }
    trigger("settled");
    redraw();
  }

  function drawProgress() {
    const running = state.queue.isRunning();
    show(ui.working, running);
    ui.root.setAttribute("aria-busy", String(running));
    if (!running) return;
    const { finished, left, seconds } = state.queue.progress();
    const total = finished + left;
    const preparing = ["download", "load"].includes(state.status?.stage) ? state.status : null;
    setText(ui.statusText, preparing ? preparing.text : `${finished} of ${total} looked at${timeLeft((seconds / finished) * left, finished)}`);
    const share = preparing?.total ? preparing.done / preparing.total : finished / Math.max(total, 1);
    ui.progress.style.setProperty("--share", share);
    setAttribute(ui.progress, "aria-valuenow", Math.round(100 * share));
  }

  function timeLeft(seconds, finished) {
    if (finished < 3) return "";
    return seconds >= 90 ? `, about ${Math.round(seconds / 60)} min left` : `, about ${Math.max(1, Math.round(seconds))} s left`;
  }

  // ---------------------------------------------------------------- redrawing

  function change(patch) {
    Object.assign(state, patch);
    state.tell.changed();
  }

  function redraw() {
    const { images, threshold, mode, start } = state;
    const categories = start?.categories ?? {};
    const isEmpty = !images.length;
    show(ui.empty, isEmpty);
    show(ui.toolbar, !isEmpty);
    show(ui.head, !isEmpty);
    show(ui.gallery, !isEmpty && mode === "gallery");
    show(ui.scroller, !isEmpty && mode === "table");
    for (const button of ui.modes.children) setAttribute(button, "aria-pressed", button.dataset.mode === mode);
    (mode === "gallery" ? gallery : table).draw(images, threshold, categories);
    drawSummary(images, threshold, categories);
    drawChoice(images);
    drawProgress();
  }

  function drawSummary(images, threshold, categories) {
    const done = images.filter((image) => image.result);
    const failures = images.filter((image) => image.state === "failed").length;
    const counts = new Map();
    for (const image of done) addCounts(counts, image, visibleCount(image, threshold));
    const parts = [counted(images.length, "image")];
    if (done.length) parts.push(inWords(counts, categories, KINDS_IN_SUMMARY));
    if (failures) parts.push(`${failures} failed`);
    setText(ui.count, parts.join(" · "));
    show(ui.threshold, done.length > 0);
    if (state.start) ui.defaultThreshold.disabled = Math.abs(threshold - state.start.threshold) < 0.005;
    announce();
  }

  function drawChoice(images) {
    const chosen = images.filter((image) => image.selected);
    setText(ui.choice, `${chosen.length} chosen`);
    ui.chooseAll.disabled = chosen.length === images.length;
    ui.chooseNone.disabled = ui.remove.disabled = !chosen.length;
    const ready = chosen.filter((image) => image.result);
    ui.download.disabled = !ready.length;
    const suits = constants.exportFormats.map(({ key }) => key).filter((key) => ready.every(({ result }) => result.formats.includes(key)));
    menu.setAvailable(suits, "This model's results have nothing for it.");
  }

  // ---------------------------------------------------------------- download

  /** Asks Python for an archive; it answers with a message that has a `download`, and the browser saves that file. */
  function download(formats) {
    const images = state.images.filter(({ selected, result }) => selected && result).map(({ id }) => id);
    menu.setBusy(true);
    packingTimeout();
    trigger("download", { batch: state.start.batch, images, formats, threshold: state.threshold });
  }

  let saved = "";
  async function save(file, name) {
    // Gradio sends an event's last message twice.
    if (saved === file.path) return;
    saved = file.path;
    try {
      await saveFile(file, name);
    } catch (error) {
      writeError(ui, { title: "The download failed", text: `${error.message}. Try again.` });
    }
    menu.setBusy(false);
  }

  // ---------------------------------------------------------------- wiring

  function takeFrom(input) {
    const files = chosenFiles(input);
    // Choosing the same file again is to be noticed.
    input.value = "";
    add(files);
  }

  for (const button of [ui.chooseImages, ui.addImages]) button.addEventListener("click", () => ui.imageInput.click());
  for (const button of [ui.chooseFolder, ui.addFolder]) button.addEventListener("click", () => ui.folderInput.click());
  for (const input of [ui.imageInput, ui.folderInput]) input.addEventListener("change", () => takeFrom(input));
  for (const button of ui.modes.children) button.addEventListener("click", () => change({ mode: button.dataset.mode }));
  ui.chooseAll.addEventListener("click", () => selectAll(true));
  ui.chooseNone.addEventListener("click", () => selectAll(false));
  ui.remove.addEventListener("click", removeSelected);
  ui.cancel.addEventListener("click", () => state.queue.stop());
  ui.defaultThreshold.addEventListener("click", () => change({ threshold: slider.set(state.start.threshold) }));
  createDropZone(ui.root, async (transfer) => add(await droppedFiles(transfer)));

  setText(ui.limits, `Up to ${constants.most} images at a time, each up to ${Math.round(constants.largest / 2 ** 20)} MB: ${constants.readable}. A file that cannot be read is told on its card; the rest goes on.`);
  drawModel();
  showLines(ui.notes, state.notes);
  redraw();
  receive();
  commit();
  watch("value", receive);
}
