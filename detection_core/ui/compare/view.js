// CompareView in the browser: takes messages from Python, keeps the models' results and the visitor's settings, and compares and redraws
// without a server call.
//
// As in detect/view.js, `props.value` is replaced by the settings alone. `receive` is the entrance, `redraw` the exit.

import { collectRefs, debounce, oncePerFrame, show } from "../components/js/dom.js";
import { bringIntoView, createAnnouncer, createDownload, setBusy, showLines, writeError, writeStatus } from "../components/js/feedback.js";
import { viewIdOf } from "../components/js/kept.js";
import { createArrangement } from "./arrangement.js";
import { createControls } from "./controls.js";
import { createLinkRow } from "./links.js";
import { createNumbers } from "./numbers.js";
import { KINDS } from "./pairs.js";
import { createStage } from "./stage.js";
import { CompareState, isSame } from "./state.js";
import { spokenSummary } from "./words.js";

const COMMIT_DELAY = 200;
const ANNOUNCE_DELAY = 500;
const DOWNLOAD_PATIENCE = 120000;
const DEFAULTS = { rule: "default", threshold: 0.5, thresholds: {}, top: 10, iou: 0.5, mode: "side", pair: null, votes: 2, hidden_classes: [] };

/** What each view showed, for when Gradio builds its component anew. @type {Map<string, any>} */
const kept = new Map();

/** @param {Mounting} mounting */
export function mount({ element, props, trigger, watch, constants }) {
  const ui = collectRefs(element);
  const viewId = viewIdOf(props);
  /** @type {CompareSettings} */
  const defaults = { ...DEFAULTS, ...constants.style };
  const layerNames = constants.layers.map((/** @type {Layer} */ { name }) => name);
  const state = new CompareState(defaults);
  // Address of the image that is to be kept.
  let keeping = "";
  const hook = { lastRedrawMs: 0, redraws: 0, redraw: () => redraw() };

  const announcer = createAnnouncer(ui.announcer, () => (state.models.length ? spokenSummary(state) : ""), ANNOUNCE_DELAY);
  const arrangement = createArrangement(ui, state, { onHover: hover, onSelect: select, onSay: announcer.say });
  const stage = createStage(ui, state, arrangement, layerNames);
  const controls = createControls(ui, state, constants.layers, change);
  const numbers = createNumbers(ui, state, {
    onHover: hover,
    onSelect: (ref, again) => select(again && isSame(ref, state.selected) ? null : ref),
    onToggleKind: toggleKind,
  });
  const compared = () => ({ image: state.source?.linkName ?? "", models: state.models, settings: state.settings });
  const linkRow = createLinkRow(ui, compared, defaults, layerNames, constants.canKeep ? keepImage : null);

  const redrawSoon = oncePerFrame(redraw);
  const commitSettings = debounce(() => { props.value = { settings: state.settingsToSend(), view: viewId }; }, COMMIT_DELAY);
  const download = createDownload(ui.download, DOWNLOAD_PATIENCE, showError);

  // ---------------------------------------------------------------- messages from Python

  function receive() {
    const message = props.value;
    if (!message) return clear();
    if (message.download) return save(message.download, message.download_name);
    const isSettingsOnly = message.models === undefined;
    if (isSettingsOnly) return;
    if (message.image && state.source?.image.url !== message.image.url) bringIntoView(ui.root);
    writeStatus(ui, message.status);
    showError(message.error);
    numbers.showMeasuring(message.status);
    if (message.points.length) state.points = message.points;
    if (message.restore) restoreOnce(message.restore);
    if (message.image) showAll(message);
    else if (message.link_name) showLink(message.link_name);
    else if (message.status) numbers.drawCosts();
    else stopWaiting();
    if (message.image || message.notes.length) showLines(ui.notes, message.notes);
    commitSettings.now();
  }

  /** What comes without an image and a status is an end: an error, or that the visitor has cancelled. */
  function stopWaiting() {
    state.models = state.models.map((model) => ({ ...model, status: null }));
    for (const model of state.models) writeStatus(arrangement.paneOf(model.id).ui, null);
    redraw();
  }

  /**
   * Gradio sends an event's last message twice, and what a link says may come with every message of a run.
   * @param {object} restore
   */
  function restoreOnce(restore) {
    const text = JSON.stringify(restore);
    if (text === state.restored) return;
    state.restored = text;
    state.settings = { ...defaults, ...restore };
  }

  /** After a rebuild Gradio only knows the settings; the rest is where `redraw` left it. */
  function bringBack() {
    const last = kept.get(viewId);
    if (!last) return;
    const { settings, points, restored, kinds } = last;
    Object.assign(state, { settings, points, restored, kinds });
    showLines(ui.notes, last.notes);
    showAll({ ...last.source, link_name: last.source.linkName }, last.models);
  }

  function clear() {
    kept.delete(viewId);
    Object.assign(state, { source: null, models: [], points: [], hovered: null, selected: null });
    writeStatus(ui, null);
    showError(null);
    showLines(ui.notes, []);
    arrangement.arrange(false);
    drawSections();
    commitSettings.now();
  }

  /**
   * A whole message; parts whose content stays as it was are left alone.
   * @param {any} message
   * @param {CompareModel[] | null} knownModels
   */
  function showAll(message, knownModels = null) {
    const isNewImage = state.source?.image.url !== message.image.url;
    if (isNewImage) state.selected = null;
    state.source = { image: message.image, width: message.width, height: message.height, linkName: message.link_name };
    state.models = knownModels ?? state.read(message.models);
    const { selected } = state;
    if (!state.models.some(({ id, objects }) => selected && id === selected[0] && objects?.[selected[1]])) state.selected = null;
    state.hovered = null;
    arrangement.arrange(isNewImage);
    controls.build();
    drawSections();
    redraw();
  }

  // ---------------------------------------------------------------- settings and redrawing

  /** @param {Record<string, any>} patch */
  function change(patch) {
    state.settings = { ...state.settings, ...patch };
    redrawSoon();
    commitSettings();
  }

  /** @param {Kind} kind */
  function toggleKind(kind) {
    state.kinds = new Set(KINDS.filter((other) => state.kinds.has(other) !== (other === kind)));
    redrawSoon();
  }

  /** Compares and draws what the settings ask for. */
  function redraw() {
    const { source, models, points, settings, restored, kinds } = state;
    if (!source) return;
    const start = performance.now();
    state.compare();
    controls.draw();
    stage.draw();
    numbers.drawPair();
    numbers.drawCosts();
    emphasize();
    announcer.summarizeSoon();
    const notes = [...ui.notes.children].map((line) => line.textContent);
    kept.set(viewId, { source, models, points, settings, restored, kinds, notes });
    hook.lastRedrawMs = performance.now() - start;
    hook.redraws += 1;
  }

  /** Parts that are there or not, whatever the settings. */
  function drawSections() {
    const hasModels = state.models.length > 0;
    show(ui.placeholder, !state.source);
    for (const part of [ui.bar, ui.panel]) show(part, hasModels);
    ui.root.classList.toggle("cv-without-models", !hasModels);
    if (hasModels) return;
    show(ui.single, false);
    show(ui.panes, true);
    for (const part of [ui.stageHead, ui.linkRow]) show(part, false);
  }

  // ---------------------------------------------------------------- hover and selection

  /** @param {Ref | null} ref */
  function hover(ref) {
    if (isSame(ref, state.hovered) || ref === state.hovered) return;
    state.hovered = ref;
    emphasize();
  }

  /** @param {Ref | null} ref */
  function select(ref) {
    state.selected = ref;
    emphasize();
  }

  function emphasize() {
    arrangement.emphasize();
    numbers.emphasize();
  }

  // ---------------------------------------------------------------- download, measuring, links

  /** @param {string} event @param {HTMLElement} button */
  function ask(event, button) {
    setBusy(button, true);
    commitSettings.now();
    trigger(event, state.settingsToSend());
  }

  function keepImage() {
    keeping = state.source?.image.url ?? "";
    ask("keep", ui.linkKeep);
  }

  /** The image has got a name that a link can hold; another one may be shown by now. @param {string} name */
  function showLink(name) {
    setBusy(ui.linkKeep, false);
    if (state.source?.image.url !== keeping) return;
    state.source.linkName = name;
    linkRow.refresh();
  }

  /** @param {FileData} file @param {string} name */
  function save(file, name) {
    commitSettings.now();
    download.save(file, name);
  }

  /** @param {ViewError | null} error */
  function showError(error) {
    writeError(ui, error);
    if (!error) return;
    for (const button of [ui.download, ui.measure, ui.linkKeep]) setBusy(button, false);
  }

  // ---------------------------------------------------------------- wiring

  ui.download.addEventListener("click", () => {
    ask("download", ui.download);
    download.begin();
  });
  ui.measure.addEventListener("click", () => ask("measure", ui.measure));
  ui.root.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape") select(null);
  });

  element.__compareView = hook;
  drawSections();
  bringBack();
  receive();
  watch("value", receive);
}
