// VideoView in the browser: takes a video, sends it, has it processed or drawn again, and plays what comes of that.
//
// Python sends messages (see messages.py); how far the work is, the view asks itself. `receive` is the entrance, `redraw` the exit.

import { thresholdFor } from "../components/js/chosen_thresholds.js";
import { collectRefs, debounce, oncePerFrame, setText, show } from "../components/js/dom.js";
import { createDropZone } from "../components/js/drop_zone.js";
import { createExportMenu } from "../components/js/export_menu.js";
import { bringIntoView, saveFile, showLines, writeError } from "../components/js/feedback.js";
import { viewIdOf } from "../components/js/kept.js";
import { isSameModel } from "../components/js/model_keys.js";
import { createArrival } from "./arrival.js";
import { createVideoCounts, inTotal } from "./counts.js";
import { createVideoFollower } from "./follow.js";
import { createPanel } from "./panel.js";
import { drawWorking, wordsFor } from "./progress.js";
import { createScreen } from "./screen.js";
import { VideoState } from "./state.js";
import { fileSize, roughly } from "./words.js";

const PACKING_PATIENCE = 600000;

/** What each view has, for when Gradio builds its component anew; its work continues meanwhile. @type {Map<string, VideoState>} */
const kept = new Map();

/** @param {Mounting} mounting */
export function mount({ element, props, trigger, server, upload, watch, constants }) {
  const ui = collectRefs(element);
  const { limits, exportFormats } = constants;
  const viewId = viewIdOf(props);
  const state = kept.get(viewId) ?? begin();
  state.handlers = { progressed, ended, error: showError };
  kept.set(viewId, state);

  const arrival = createArrival(state, { server, upload }, limits.bytes);
  const screen = createScreen(ui, state, { onTime, onVersion: () => redraw() });
  const counts = createVideoCounts(ui, state, { onSeek: screen.seek, onToggle: screen.toggle, onChange: change });
  const panel = createPanel(ui, state, constants, change);
  const menu = createExportMenu(ui.download, exportFormats, download, { several: "Download", chosen: ["mp4"] });
  const redrawSoon = oncePerFrame(redraw);
  const packingTimeout = debounce(() => menu.setBusy(false), PACKING_PATIENCE);

  function begin() {
    const fresh = new VideoState(constants);
    fresh.follower = createVideoFollower(server, {
      progressed: (answer) => fresh.handlers.progressed(answer),
      ended: (stage, text) => fresh.handlers.ended(stage, text),
    });
    return fresh;
  }

  // ---------------------------------------------------------------- messages from Python

  function receive() {
    const message = props.value;
    const isOurOwn = !message || message.notes === undefined;
    if (isOurOwn) return;
    const { error, start, outcome, example, download: file } = message;
    // A message about the model alone leaves the error.
    if (error || start || outcome || example || file) showError(error);
    if (error) {
      state.waits = "";
      menu.setBusy(false);
    }
    if (message.model) takeModel(message.model);
    if (message.notes.length && !outcome) state.notes = message.notes;
    if (example) arrival.takeExample(example);
    if (start && state.isNew(start)) follow(start);
    if (outcome && state.isNew(outcome)) takeOutcome(outcome, message.notes);
    if (file) save(file, message.download_name);
    commit();
    redraw();
  }

  /** Kept, because Gradio may build the component anew. @param {ViewError | null} error */
  function showError(error) {
    state.error = error;
    writeError(ui, error);
  }

  function commit() {
    props.value = { order: state.order(), view: viewId };
  }

  /** @param {VideoModel} model */
  function takeModel(model) {
    if (!isSameModel(state.model?.key, model.key)) state.settings.threshold = thresholdFor(model.key, model.threshold);
    if (state.model?.key !== model.key && state.source) state.source.pace = null;
    state.model = model;
    arrival.measurePace();
  }

  // ---------------------------------------------------------------- work

  /** Runs the model, or draws its results again: whichever the settings require. */
  function go() {
    const kind = state.wanted();
    state.waits = kind;
    state.asked = { ...state.settings };
    showError(null);
    redraw();
    trigger(kind === "draw" ? "redraw" : "begin", state.order());
  }

  /** @param {{ kind: string, video: string }} start */
  function follow({ kind, video }) {
    state.waits = "";
    state.work = { kind, video, answer: null };
    // The server drops the former results.
    if (kind === "detect") Object.assign(state, { outcome: null, shown: "original", notes: state.source?.facts?.notes ?? [] });
    state.follower.follow(video);
  }

  /** @param {VideoProgress} [answer] */
  function progressed(answer) {
    if (state.work && answer) state.work.answer = answer;
    redrawSoon();
  }

  /** @param {string} stage @param {string} text */
  function ended(stage, text) {
    const kind = state.work?.kind;
    state.work = null;
    if (stage === "failed") showError({ title: kind === "draw" ? "The video could not be drawn" : "The video could not be processed", text });
    if (stage === "expired" || stage === "silent") showError({ title: stage === "silent" ? "No answer" : "The results are gone", text });
    if (stage === "expired") Object.assign(state, { outcome: null, shown: "original" });
    if (stage === "cancelled") state.notes = ["Cancelled."];
    const isShown = kind === "draw" && stage !== "done";
    if (!isShown && stage !== "silent") trigger("finished", { video: state.follower.last() });
    // By now more is known.
    if (state.source) state.source.pace = null;
    arrival.measurePace();
    redrawSoon();
  }

  /** @param {VideoOutcome} outcome @param {string[]} notes */
  function takeOutcome(outcome, notes) {
    const isFirst = !state.outcome;
    Object.assign(state, { outcome: { ...outcome, settings: state.asked }, shown: "annotated", notes });
    if (isFirst) state.time = 0;
    setText(ui.announcer, inTotal(state.shownClasses(), outcome.track));
    if (isFirst) bringIntoView(ui.root);
  }

  // ---------------------------------------------------------------- redrawing

  /** @param {Record<string, any>} patch */
  function change(patch) {
    Object.assign(state.settings, patch);
    commit();
    redrawSoon();
  }

  function redraw() {
    const { source, outcome } = state;
    ui.root.classList.toggle("vv-without-video", !source);
    show(ui.empty, !source);
    ui.example.disabled = state.waits === "example";
    ui.example.classList.toggle("dv-busy", state.waits === "example");
    show(ui.panel, Boolean(source));
    show(ui.download, Boolean(outcome));
    panel.draw();
    drawAction();
    drawWorking(ui, state);
    if (counts.draw() && outcome) menu.setAvailable(formatsFor(outcome), "This format needs tracked objects: turn tracking on and draw again.");
    showLines(ui.notes, source ? state.notes : []);
    screen.draw();
  }

  /** @param {VideoOutcome} outcome */
  const formatsFor = ({ track }) => exportFormats.map((/** @type {ExportFormat} */ { key }) => key).filter((/** @type {string} */ key) => key !== "mot" || track);

  function drawAction() {
    const { source, work, sending, outcome, model, waits } = state;
    show(ui.action, Boolean(source?.facts && model && !work && !sending));
    if (!source?.facts || !model || work || sending) return;
    const kind = state.wanted();
    setText(ui.words, wordsFor(kind, state, limits.seconds));
    show(ui.go, kind !== "" || !outcome?.complete);
    setText(ui.go, kind === "draw" ? "Draw again" : outcome ? model.button.replace("Detect", "Detect again") : model.button);
    ui.go.disabled = waits === "detect" || waits === "draw";
  }

  /** @param {number} time */
  function onTime(time) {
    state.time = time;
    counts.setTime(time);
  }

  // ---------------------------------------------------------------- download

  /** @param {string[]} formats */
  function download(formats) {
    const { source, outcome } = state;
    if (!source || !outcome) return;
    const stem = source.name.replace(/[.][^.]*$/, "") || "video";
    // The video is here already.
    if (formats.length === 1 && formats[0] === "mp4") return save(outcome.file, `${stem}_detections.mp4`);
    menu.setBusy(true);
    packingTimeout();
    trigger("download", { ...state.order(), formats });
  }

  /** @type {FileData | null} */
  let saved = null;
  /** @param {FileData} file @param {string} name */
  async function save(file, name) {
    // Gradio sends an event's last message twice.
    if (saved === file) return;
    saved = file;
    const failure = await saveFile(file, name);
    if (failure) showError(failure);
    saved = null;
    menu.setBusy(false);
  }

  // ---------------------------------------------------------------- wiring

  for (const button of [ui.choose, ui.other]) button.addEventListener("click", () => ui.input.click());
  ui.input.addEventListener("change", () => {
    const [file] = ui.input.files;
    arrival.take(file);
    // Choosing the same file again is to be noticed.
    ui.input.value = "";
  });
  ui.example.addEventListener("click", () => {
    state.waits = "example";
    redraw();
    trigger("example");
  });
  ui.go.addEventListener("click", go);
  ui.cancel.addEventListener("click", () => {
    if (state.sending) return state.sending.stop();
    if (!state.work) return;
    state.work.stopping = true;
    state.follower.stop();
    redraw();
  });
  createDropZone(ui.root, ({ files }) => arrival.take(files[0]));

  setText(ui.limits, `MP4, MOV, WebM, MKV, AVI, MPEG, WMV, FLV or GIF, up to ${roughly(limits.seconds)} and ${fileSize(limits.bytes)}. Longer videos must be cut first.`);
  writeError(ui, state.error);
  redraw();
  receive();
  commit();
  watch("value", receive);
}
