// DetectionView in the browser: takes messages from Python, keeps the result and the visitor's settings, and redraws without a server call.
//
// The value that Python sends is a message, see components/messages.py. Its heavy parts are kept here, and `props.value` is replaced by the
// settings alone: Gradio would otherwise compare, copy and send back every polygon. `receive` is the entrance, `redraw` the exit.

import { onThreshold, thresholdFor } from "../components/js/chosen_thresholds.js";
import { collectRefs, debounce, formatMs, oncePerFrame, setText, show } from "../components/js/dom.js";
import { createExportMenu } from "../components/js/export_menu.js";
import { bringIntoView, createAnnouncer, createDownload, setBusy, showLines, writeError, writeStatus } from "../components/js/feedback.js";
import { objectArea } from "../components/js/geometry.js";
import { viewIdOf } from "../components/js/kept.js";
import { isSameModel } from "../components/js/model_keys.js";
import { createExplain } from "../explain/mode.js";
import { createImage } from "./image.js";
import { createPanel } from "./panel.js";
import { createTable } from "./table.js";
import { countByClass, explainEmpty, nameOf, summaryOf } from "./words.js";

const COMMIT_DELAY = 200;
const ANNOUNCE_DELAY = 500;
const DOWNLOAD_PATIENCE = 60000;
const CLASSES_IN_SUMMARY = 5;

/**
 * The last result of each view, for when Gradio builds its component anew.
 * @type {Map<string, { result: DetectResult | null, modelKey: string | null, settings: DetectSettings, image: any }>}
 */
const kept = new Map();

/** @param {Mounting} mounting */
export function mount({ element, props, trigger, server, watch, constants }) {
  const ui = collectRefs(element);
  const viewId = viewIdOf(props);

  /** @type {DetectResult | null} */
  let result = null;
  /** @type {string | null} */
  let modelKey = null;
  /** @type {DetectSettings} */
  let settings = { threshold: 0.5, hidden_classes: [], only_slices: false, ...constants.style };
  const hook = { lastRedrawMs: 0, redraws: 0, redraw: () => redraw(true), visibleCount };

  const table = createTable(ui.scroller, {
    onHover: (index) => image.hover(index),
    onSelect: (index, again) => image.select(again && index === image.selected() ? -1 : index),
  });
  const announcer = createAnnouncer(ui.announcer, () => (result ? summary() : ""), ANNOUNCE_DELAY);
  const image = createImage(ui, { onSay: announcer.say, onActive: table.setActive, onSelected: table.setSelected, onCamera: (camera) => [explain, panel.slices].forEach((part) => part?.setCamera(camera)) });
  const panel = createPanel(ui, constants.layers, { settings: () => settings, onChange: change });
  const formats = createExportMenu(ui.formats, constants.exportFormats, ([format]) => askForDownload(format));

  const explaining = { server, begin: () => trigger("explain"), result: () => result, threshold: () => settings.threshold, say: announcer.say };
  const explain = constants.explains ? createExplain(ui, image, explaining) : null;
  show(ui.explain, explain !== null);

  const redrawSoon = oncePerFrame(() => redraw(false));
  const commitSettings = debounce(() => { props.value = { settings, view: viewId }; }, COMMIT_DELAY);
  const download = createDownload(ui.download, DOWNLOAD_PATIENCE, showError);

  // ---------------------------------------------------------------- messages from Python

  function receive() {
    /** @type {DetectMessage | null} */
    const message = props.value;
    if (!message) return clear();
    if (message.download) return save(message.download, message.download_name);
    const isSettingsOnly = message.objects === undefined;
    if (isSettingsOnly) return;
    if (result && isNews(message)) bringIntoView(ui.root);
    writeStatus(ui, message.status);
    showError(message.error);
    if (message.explain) explain?.open(message.explain);
    else if (!message.status) explain?.stopWaiting();
    if (message.image) showImage(message);
    if (message.objects) showResult(message);
    else if (message.notes.length) showLines(ui.notes, message.notes);
    kept.set(viewId, { result, modelKey, settings, image: message.image ? message : kept.get(viewId)?.image });
    commitSettings.now();
  }

  /** Gradio sends an event's last message twice. @param {DetectMessage} message */
  function isNews({ status, error, image: file, model }) {
    return Boolean(status || error) || (file && ui.image.getAttribute("src") !== file.url) || (model && modelKey !== model.key);
  }

  /** After a rebuild Gradio only knows the settings; the rest is where `receive` left it. */
  function restore() {
    const last = kept.get(viewId);
    if (!last) return;
    ({ settings, modelKey } = last);
    if (last.image) showImage(last.image);
    if (last.result) showResult(last.result);
  }

  function clear() {
    kept.delete(viewId);
    writeStatus(ui, null);
    showError(null);
    image.clear();
    forgetObjects();
    commitSettings.now();
  }

  /** @param {any} message with an image */
  function showImage(message) {
    if (image.setImage(message)) forgetObjects();
    panel.slices.setTiles(message.tiles);
  }

  function forgetObjects() {
    result = null;
    explain?.leave();
    image.setObjects(null);
    ui.image.alt = "The image, not analysed yet";
    for (const part of [ui.panel, ui.callout, ui.notes, ui.timings, ui.tooltip]) show(part, false);
    panel.clear();
    ui.root.classList.add("dv-without-result");
  }

  /** @param {any} message with objects */
  function showResult(message) {
    const start = performance.now();
    explain?.leave();
    if (!isSameModel(modelKey, message.model.key)) settings = Object.assign({}, settings, { threshold: thresholdFor(message.model.key, message.threshold), hidden_classes: [] });
    modelKey = message.model.key;
    const named = (/** @type {ViewObject} */ object) => ({ ...object, name: nameOf(message, object.class_id), area: objectArea(object) });
    /** @type {DetectResult} */
    const found = { ...message, objects: message.objects.map(named) };
    result = found;
    ui.root.classList.remove("dv-without-result");
    image.setObjects(found);
    table.setObjects(found.objects, found.objects.some(({ keypoints }) => keypoints));
    panel.build(found);
    formats.setAvailable(message.formats, "This model does not find what this format is about.");
    setText(ui.model, message.model.title);
    show(ui.model, Boolean(message.model.title));
    show(ui.panel, true);
    showLines(ui.notes, message.notes);
    show(ui.timings, message.timings.length > 0);
    image.emphasize();
    // The panel has taken its room only now.
    image.measure();
    redraw(true);
    const timings = [...message.timings, { name: "draw", ms: performance.now() - start }];
    setText(ui.timings, timings.map(({ name, ms }) => `${name} ${formatMs(ms)}`).join(" · "));
  }

  /** @param {ViewError | null} error */
  function showError(error) {
    writeError(ui, error);
    if (error) setBusy(ui.download, false);
  }

  // ---------------------------------------------------------------- what there is

  function visibleCount() {
    return result ? result.objects.filter((_, i) => image.isShown(i)).length : 0;
  }

  const summary = (limit = Infinity) => (result ? summaryOf(countByClass(result.objects, (_, i) => image.isShown(i)), result, limit) : "");

  // ---------------------------------------------------------------- settings and redrawing

  /** @param {Record<string, any>} patch */
  function change(patch) {
    settings = { ...settings, ...patch };
    redrawSoon();
    commitSettings();
  }

  /**
   * Shows exactly the objects over the threshold in active classes; touches only those whose state changed.
   * @param {boolean} everything
   */
  function redraw(everything) {
    if (!result) return;
    const start = performance.now();
    const hidden = new Set(settings.hidden_classes);
    let changed = false;
    result.objects.forEach((object, i) => {
      const visible = object.score >= settings.threshold - 1e-9 && !hidden.has(object.class_id) && !panel.slices.hides(object);
      table.setMarked(i, panel.slices.marks(object));
      if (!image.setVisible(i, visible)) return;
      changed = true;
      table.setVisible(i, visible);
    });
    image.setStyle(settings);
    panel.update(result);
    if (panel.hasKeypoints() && table.setKeypointThreshold(settings.keypoint_threshold)) image.setKeypointThreshold(settings.keypoint_threshold);
    if (changed || everything) {
      image.forgetHidden();
      table.refreshTabStop();
      describe();
    }
    drawCallout(result, hidden);
    image.layLabels();
    const last = kept.get(viewId);
    if (last) last.settings = settings;
    hook.lastRedrawMs = performance.now() - start;
    hook.redraws += 1;
  }

  function describe() {
    const n = visibleCount();
    setText(ui.count, n ? `${n} ${n === 1 ? "object" : "objects"} · ${summary(CLASSES_IN_SUMMARY)}` : "0 objects");
    ui.image.alt = summary();
    announcer.summarizeSoon();
  }

  /** Says why the image is empty and offers the way out. @param {DetectResult} found @param {Set<number>} hidden */
  function drawCallout({ objects }, hidden) {
    show(ui.callout, visibleCount() === 0);
    const { text, button = "", lower } = explainEmpty(objects, objects.filter((object) => !hidden.has(object.class_id)), settings.threshold);
    setText(ui.calloutText, text);
    setText(ui.calloutButton, button);
    show(ui.calloutButton, button !== "");
    ui.calloutButton.onclick = () => (lower === undefined ? change({ hidden_classes: [] }) : panel.setThreshold(lower));
  }

  // ---------------------------------------------------------------- download

  /** Asks Python for a file; it answers with a message that has a `download`, and the browser saves that file. @param {string} format */
  function askForDownload(format) {
    download.begin();
    commitSettings.now();
    trigger("download", { format });
  }

  /** @param {FileData} file @param {string} name */
  function save(file, name) {
    commitSettings.now();
    download.save(file, name);
  }

  // ---------------------------------------------------------------- wiring

  ui.download.addEventListener("click", () => askForDownload("png"));
  ui.defaultThreshold.addEventListener("click", () => result && panel.setThreshold(result.threshold));
  onThreshold(viewId, (key, threshold) => { if (result && isSameModel(key, modelKey)) panel.setThreshold(threshold); });
  ui.root.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape" && !explain?.leave()) image.select(-1);
  });
  ui.image.addEventListener("error", () => showError({ title: "The image could not be shown", text: "Its file is no longer on the server. Choose it again." }));

  element.__detectionView = hook;
  forgetObjects();
  restore();
  receive();
  watch("value", receive);
}
