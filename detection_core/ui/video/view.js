// VideoView in the browser: takes a video, sends it, has it looked at or drawn again, and plays what comes of that.
//
// Gradio runs this as the body of a function (element, trigger, props, server, upload, watch), after the parts in js/. Python sends
// messages (see video_message.py); how far the work is, the view asks itself. `receive` is the entrance, `redraw` the exit.

const PACKING_PATIENCE = 600000;
const VIDEO_LAYERS = ["boxes", "masks", "contours", "skeletons", "labels"];
const DRAWN = ["threshold", "track", "hidden_classes", "opacity", "keypoint_threshold", ...VIDEO_LAYERS];

const ui = collectRefs(element);
// Gradio builds the component anew when its tab changes; what each view has waits here for that, and its work goes on.
const kept = (window.videoViews ??= new Map());
const viewId = props.value?.view ?? Math.random().toString(36).slice(2);
const state = kept.get(viewId) ?? begin();
state.tell = { news, ended, sent };
kept.set(viewId, state);

const player = createVideoPlayer(ui.video, onTime, unplayable);
const chart = createVideoChart(ui.track, { onSeek: player.seek, onToggle: player.toggle });
const rates = createRates();
const tracks = createChoice(ui.tracks, (choice) => change({ track: choice === "on" }));
const versions = createChoice(ui.versions, (shown) => showVersion(shown));
const layerButtons = createLayerButtons(ui.layers, (layer) => change({ [layer]: !state.settings[layer] }));
const chips = createChips(ui.chips, ui.bulk, {
  onToggle: (name) => change({ hidden_classes: toggled(state.settings.hidden_classes, name) }),
  onAll: (on) => change({ hidden_classes: on ? [] : state.outcome.classes.map(({ name }) => name) }),
});
const sliders = {
  threshold: createSlider(ui.threshold, formatScore, (threshold) => change({ threshold })),
  keypoints: createSlider(ui.keypointThreshold, (logit) => logit.toFixed(1), (keypoint_threshold) => change({ keypoint_threshold })),
  opacity: createSlider(ui.opacity, (share) => `${Math.round(100 * share)}%`, (opacity) => change({ opacity })),
};
const menu = createExportMenu(ui.download, VIDEO_FORMATS, download, { several: "Download", chosen: ["mp4"] });
const redrawSoon = oncePerFrame(redraw);
const packingTimeout = debounce(() => menu.setBusy(false), PACKING_PATIENCE);

/**
 * What a view has: `source` {name, url, size, path, facts, pace}, `sending` {share, stop}, `work` {kind, video, news}, and the `outcome`
 * with the settings that it was drawn with.
 */
function begin() {
  const layers = Object.fromEntries(VIDEO_LAYERS.map((layer) => [layer, true]));
  const settings = { rate: DEFAULT_RATE, track: true, threshold: 0.5, hidden_classes: [], opacity: 0.4, keypoint_threshold: 2, ...layers };
  const fresh = { settings, model: null, source: null, sending: null, work: null, outcome: null, shown: "original", notes: [], time: 0, waits: "", error: null, turns: new Set(), tell: null };
  const tell = Object.fromEntries(["news", "ended"].map((name) => [name, (...told) => fresh.tell[name](...told)]));
  fresh.follower = createVideoFollower(server, tell);
  return fresh;
}

function createRates() {
  for (const rate of RATES) {
    const button = makeButton("", rate === "all" ? "Every" : rate, () => {});
    button.dataset.choice = rate;
    if (rate === "all") button.title = "Every frame of the video";
    ui.rates.append(button);
  }
  return createChoice(ui.rates, (rate) => change({ rate }));
}

// ---------------------------------------------------------------- messages from Python

function receive() {
  const message = props.value;
  const isOurOwn = !message || message.notes === undefined;
  if (isOurOwn) return;
  const { error, start, outcome, example, download: file } = message;
  // News of the model alone leaves what went wrong before.
  if (error || start || outcome || example || file) tellError(error);
  if (error) {
    state.waits = "";
    menu.setBusy(false);
  }
  if (message.model) takeModel(message.model);
  if (message.notes.length && !message.outcome) state.notes = message.notes;
  if (message.example) takeExample(message.example);
  if (message.start && isNew(message.start)) follow(message.start);
  if (message.outcome && isNew(message.outcome)) takeOutcome(message.outcome, message.notes);
  if (message.download) save(message.download, message.download_name);
  commit();
  redraw();
}

/** Kept, because Gradio may build the component anew. */
function tellError(error) {
  state.error = error;
  writeError(ui, error);
}

/** Gradio sends an event's last message twice. */
function isNew({ turn }) {
  return !state.turns.has(turn) && Boolean(state.turns.add(turn));
}

function commit() {
  props.value = { order: order(), view: viewId };
}

function order() {
  const { path = "", name = "" } = state.source ?? {};
  return { ...state.settings, video: state.outcome?.video ?? "", path, name };
}

function takeModel(model) {
  if (!isSameModel(state.model?.key, model.key)) state.settings.threshold = model.threshold;
  if (state.model?.key !== model.key && state.source) state.source.pace = null;
  state.model = model;
  measurePace();
}

// ---------------------------------------------------------------- a video comes

function take(file) {
  if (!file) return;
  const tooLarge = file.size > LIMITS.bytes;
  tellError(tooLarge ? { title: "This video is too large", text: `It has ${fileSize(file.size)}; at most ${fileSize(LIMITS.bytes)} are allowed. Cut it or compress it first.` } : null);
  if (tooLarge) return;
  const source = setSource({ name: file.name, size: file.size, url: URL.createObjectURL(file), path: "" });
  const sending = sendVideo(file, upload, (share) => state.tell.sent(share));
  state.sending = { share: 0, stop: sending.stop };
  redraw();
  sending.done.then((path) => arrived(source, path), ({ message }) => lost(source, "The video could not be sent", message));
}

function takeExample({ path, url }) {
  state.waits = "";
  if (state.source?.path === path) return;
  arrived(setSource({ name: "Sliding images", size: 0, url, path: "" }), path);
}

/** Puts a video in place of the last one and everything that came of it. */
function setSource(source) {
  state.sending?.stop();
  state.follower.drop();
  if (state.source?.url.startsWith("blob:")) URL.revokeObjectURL(state.source.url);
  Object.assign(state, { source: { facts: null, pace: null, ...source }, sending: null, work: null, outcome: null, shown: "original", notes: [], time: 0, waits: "" });
  // Nobody should miss what another video had too much of.
  state.settings.hidden_classes = [];
  return state.source;
}

function sent(share) {
  if (state.sending) state.sending.share = share;
  redrawSoon();
}

async function arrived(source, path) {
  if (state.source !== source) return;
  source.path = path;
  state.sending = null;
  state.tell.news();
  const answer = await server.inspect({ path }).catch(() => null);
  if (state.source !== source) return;
  if (!answer?.facts) return lost(source, "This video cannot be used", answer?.error ?? "The server does not answer. Choose the video again.");
  source.facts = answer.facts;
  state.notes = answer.facts.notes;
  state.tell.news();
  measurePace();
}

function lost(source, title, text) {
  if (state.source !== source) return;
  setSource({ name: "", url: "", path: "" });
  state.source = null;
  if (text) tellError({ title, text });
  state.tell.news();
}

/** Asks how long the model takes for a frame; what nobody knows stays unsaid. */
async function measurePace() {
  const { source, model } = state;
  if (!source?.facts || !model || source.pace?.key === model.key || state.work) return;
  const pace = (source.pace = { key: model.key, seconds: null });
  const answer = await server.pace({ path: source.path, model: model.key }).catch(() => null);
  pace.seconds = answer?.seconds ?? 0;
  state.tell.news();
}

// ---------------------------------------------------------------- work

/** Has the model look, or what it found drawn again: whichever the settings call for. */
function go() {
  const kind = wanted();
  state.waits = kind;
  state.asked = { ...state.settings, model: state.model.key };
  tellError(null);
  redraw();
  trigger(kind === "draw" ? "redraw" : "begin", order());
}

function follow({ kind, video }) {
  state.waits = "";
  state.work = { kind, video, news: null };
  // The server lets go of what came before.
  if (kind === "detect") Object.assign(state, { outcome: null, shown: "original", notes: state.source?.facts?.notes ?? [] });
  state.follower.follow(video);
}

function news(answer) {
  if (state.work && answer) state.work.news = answer;
  redrawSoon();
}

function ended(stage, text) {
  const kind = state.work?.kind;
  state.work = null;
  if (stage === "failed") tellError({ title: kind === "draw" ? "The video could not be drawn" : "The video could not be looked at", text });
  if (stage === "expired" || stage === "silent") tellError({ title: stage === "silent" ? "No answer" : "The results are gone", text });
  if (stage === "expired") Object.assign(state, { outcome: null, shown: "original" });
  if (stage === "cancelled") state.notes = ["Cancelled."];
  const isShown = kind === "draw" && stage !== "done";
  if (!isShown && stage !== "silent") trigger("settled", { video: state.follower.last() });
  // By now more is known.
  if (state.source) state.source.pace = null;
  measurePace();
  redrawSoon();
}

function takeOutcome(outcome, notes) {
  const isFirst = !state.outcome;
  state.outcome = { ...outcome, settings: state.asked };
  state.shown = "annotated";
  state.notes = notes;
  if (isFirst) state.time = 0;
  setText(ui.announcer, inTotal());
  if (isFirst) bringIntoView(ui.root);
}

/** "detect", "draw", or "" if the video is as the settings say. */
function wanted() {
  const { outcome, settings, model } = state;
  if (!outcome || outcome.model !== model.key || outcome.settings.rate !== settings.rate) return "detect";
  return DRAWN.every((name) => isSame(outcome.settings[name], settings[name])) ? "" : "draw";
}

function isSame(a, b) {
  if (Array.isArray(a)) return a.length === b.length && a.every((item) => b.includes(item));
  return typeof a === "number" ? Math.abs(a - b) < 0.004 : a === b;
}

// ---------------------------------------------------------------- redrawing

function change(patch) {
  Object.assign(state.settings, patch);
  commit();
  redrawSoon();
}

function redraw() {
  const { source, outcome } = state;
  const has = Boolean(source);
  ui.root.classList.toggle("vv-without-video", !has);
  show(ui.empty, !has);
  ui.example.disabled = state.waits === "example";
  ui.example.classList.toggle("dv-busy", state.waits === "example");
  for (const part of [ui.toolbar, ui.screen, ui.panel]) show(part, has);
  show(ui.versions, Boolean(outcome));
  show(ui.download, Boolean(outcome));
  drawPanel();
  drawAction();
  drawWorking();
  drawCounts();
  showLines(ui.notes, has ? state.notes : []);
  if (!has) return player.clear();
  setText(ui.name, source.name);
  ui.name.title = source.name;
  setText(ui.facts, [source.facts ? factsInWords(source.facts) : "Reading the file", source.size ? fileSize(source.size) : ""].filter(Boolean).join(" · "));
  if (source.facts) {
    ui.screen.style.setProperty("--aspect", `${source.facts.width} / ${source.facts.height}`);
    // For browsers that cannot play the file.
    setAttribute(ui.video, "poster", source.facts.poster);
  }
  versions.update(state.shown);
  drawVideo();
}

function drawVideo() {
  const { source, outcome, shown } = state;
  const url = shown === "annotated" && outcome ? outcome.file.url : source.url;
  if (ui.video.getAttribute("src") === url) return;
  show(ui.unplayable, false);
  setAttribute(ui.video, "aria-label", shown === "annotated" && outcome ? `The annotated video: ${inTotal()}` : "The video");
  player.show(url, state.time);
}

function showVersion(shown) {
  state.shown = shown;
  redraw();
}

function unplayable() {
  const { source, outcome, shown } = state;
  if (!source) return;
  show(ui.unplayable, true);
  if (shown === "annotated" && outcome) return setText(ui.unplayable, "The video is no longer on the server. Have the video looked at again.");
  setText(ui.unplayable, "Your browser does not play files of this kind. The annotated video will be one that it plays.");
}

function drawPanel() {
  const { model, settings, source, outcome } = state;
  if (!model) return;
  setText(ui.model, model.title);
  rates.update(settings.rate);
  tracks.update(settings.track ? "on" : "off");
  layerButtons.update(settings, model.layers);
  settings.threshold = sliders.threshold.set(settings.threshold, Math.floor(model.floor * 100) / 100);
  settings.keypoint_threshold = sliders.keypoints.set(settings.keypoint_threshold);
  sliders.keypoints.show(model.layers.includes("skeletons") && settings.skeletons);
  settings.opacity = sliders.opacity.set(settings.opacity);
  sliders.opacity.show(model.layers.includes("masks") && settings.masks);
  setText(ui.defaultThreshold, `Default ${formatScore(model.threshold)}`);
  ui.defaultThreshold.disabled = Math.abs(settings.threshold - model.threshold) < 0.005;
  setText(ui.trackWords, settings.track ? "Each object keeps its number and color, and its box is steadier." : "Every frame by itself.");
  if (!source?.facts) return setText(ui.rateWords, "");
  const frames = framesAt(source.facts, settings.rate, LIMITS.seconds);
  const isAll = settings.rate === "all" || Number(settings.rate) >= source.facts.fps;
  setText(ui.rateWords, isAll ? `All ${counted(frames, "frame")}.` : `${counted(frames, "frame")} of the video; the video shows these.`);
}

function drawAction() {
  const { source, work, sending, outcome, model, waits } = state;
  const isReady = Boolean(source?.facts && model && !work && !sending);
  show(ui.action, isReady);
  if (!isReady) return;
  const kind = wanted();
  setText(ui.words, wordsFor(kind));
  show(ui.go, kind !== "" || !outcome?.complete);
  setText(ui.go, kind === "draw" ? "Draw again" : outcome ? model.button.replace("Detect", "Detect again") : model.button);
  ui.go.disabled = waits === "detect" || waits === "draw";
}

function wordsFor(kind) {
  const { source, settings, outcome } = state;
  if (kind === "draw") return "The settings have changed. Drawing again is quick: the model is not needed.";
  if (kind === "detect") return estimate(framesAt(source.facts, settings.rate, LIMITS.seconds), settings.rate, source);
  const looked = `${counted(outcome.frames, "frame")} looked at in ${roughly(outcome.seconds)}.`;
  return outcome.complete ? looked : `${looked} It ended early: ${clockTime(seriesEnd(outcome.times), true)} of ${clockTime(source.facts.seconds, true)} are annotated.`;
}

/** "80 frames at 10 a second, about 12 s here". */
function estimate(frames, rate, { facts, pace }) {
  const much = rate === "all" || Number(rate) >= facts.fps ? counted(frames, "frame") : `${counted(frames, "frame")} at ${rate} a second`;
  if (!pace || pace.seconds === null) return `${much}. Measuring how long that takes here.`;
  return pace.seconds ? `${much}, about ${roughly(frames * pace.seconds)} here.` : `${much}.`;
}

function drawWorking() {
  const { source, sending, work, waits } = state;
  const reading = source && !sending && !source.facts;
  const isBusy = Boolean(sending || work || reading);
  show(ui.working, isBusy);
  ui.root.setAttribute("aria-busy", String(isBusy || Boolean(waits)));
  if (!isBusy) return;
  const { text, share } = sending ? sendingNow() : work ? workingNow(work) : { text: "Reading the file", share: null };
  setText(ui.statusText, text);
  setText(ui.statusShare, share === null ? "" : `${Math.floor(100 * share)}%`);
  ui.progress.classList.toggle("dv-indeterminate", share === null);
  ui.progress.style.setProperty("--share", share ?? 0);
  if (share === null) ui.progress.removeAttribute("aria-valuenow");
  else setAttribute(ui.progress, "aria-valuenow", Math.round(100 * share));
  show(ui.cancel, !reading);
  ui.cancel.disabled = Boolean(work?.stopping);
}

function sendingNow() {
  const { share } = state.sending;
  return { text: `Sending ${fileSize(share * state.source.size)} of ${fileSize(state.source.size)}`, share };
}

function workingNow({ kind, news: told, stopping }) {
  if (stopping) return { text: "Ending after this frame", share: null };
  if (!told) return { text: kind === "draw" ? "Drawing again" : "Beginning", share: null };
  if (told.stage === "waiting") return { text: told.ahead === 1 ? "1 video is before yours" : `${told.ahead} videos are before yours`, share: null };
  const { status, progress } = told;
  if (status) return { text: status.text, share: status.total ? clamp(status.done / status.total, 0, 1) : null };
  if (!progress) return { text: kind === "draw" ? "Drawing again" : `${state.model.title} is looking`, share: null };
  const { done, total, fps, left } = progress;
  const pace = fps > 0 ? ` · ${fps >= 10 ? Math.round(fps) : fps.toFixed(1)} frames/s` : "";
  const rest = left !== null && done < total ? ` · about ${roughly(left)} left` : "";
  return { text: `${kind === "draw" ? "Drawn" : "Looked at"} ${done.toLocaleString("en")} of ${counted(total, "frame")}${pace}${rest}`, share: done / total };
}

// ---------------------------------------------------------------- counts

let charted = {};
let legend = [];

/** The chart shows at once which classes are on; the video follows when it is drawn again. */
function drawCounts() {
  const { outcome, source, settings } = state;
  show(ui.counts, Boolean(outcome));
  const { hidden_classes: hidden } = settings;
  if (charted.outcome === outcome && charted.hidden === hidden) return;
  drawChips();
  charted = { outcome, hidden };
  const lines = outcome ? seriesLines(shownClasses(hidden)) : [];
  chart.setSeries(outcome && { times: outcome.times, lines, seconds: source.facts.seconds });
  legend = lines.map(makeLegendItem);
  ui.legend.replaceChildren(...legend.map(({ item }) => item));
  if (outcome && !lines.length) ui.legend.append(make("li", "vv-nothing", outcome.classes.length ? "All classes are switched off." : `Nothing above ${formatScore(outcome.threshold)}. Lower the threshold and draw again.`));
  if (outcome) menu.setAvailable(VIDEO_FORMATS.map(({ key }) => key).filter((key) => key !== "mot" || outcome.track), "This format is about objects that are followed: turn that on and draw again.");
  onTime(state.time);
}

/** How many there are of each class, by which it is switched off and on. */
function drawChips() {
  const { outcome, settings } = state;
  show(ui.classChoice, Boolean(outcome?.classes.length));
  if (!outcome) return;
  const { classes, track } = outcome;
  if (charted.outcome !== outcome) {
    const byName = new Map(classes.map((each) => [each.name, each]));
    chips.build([...byName.keys()], (name) => name, (name) => byName.get(name).color);
  }
  chips.update(new Map(classes.map((each) => [each.name, numberOf(each)])), new Set(settings.hidden_classes));
  setText(ui.classWords, track ? "How many different ones there are in the video." : "The most at a time.");
}

function shownClasses(hidden) {
  return state.outcome.classes.filter(({ name }) => !hidden.includes(name));
}

/** How many of a class there are in the video, or the most at a time where nobody followed them. */
function numberOf({ counts, total }) {
  return total ?? counts.reduce((most, n) => Math.max(most, n), 0);
}

function makeLegendItem(line) {
  const item = make("li");
  const [swatch, now, total] = [make("span", "dv-swatch"), make("strong"), make("span")];
  swatch.style.background = line.color;
  item.append(swatch, now, total);
  if (line.total !== null) setText(total, `${line.total} in all`);
  if (line.total !== null) item.title = `${line.total} different ${line.total === 1 ? line.name : line.plural} in the whole video`;
  return { item, now, line };
}

/** "3 persons and 1 dog in the video", or the most at a time where nobody followed them. */
function inTotal() {
  const { track, settings } = state.outcome;
  const named = (each) => `${numberOf(each)} ${numberOf(each) === 1 ? each.name : each.plural}`;
  const words = shownClasses(settings.hidden_classes).slice(0, 5).map(named).join(", ");
  return words ? `${words} ${track ? "in all" : "at most at a time"}` : "nothing found";
}

function onTime(time) {
  state.time = time;
  if (!state.outcome) return;
  chart.setTime(time);
  const index = frameAt(state.outcome.times, time);
  for (const { now, line } of legend) {
    const n = line.counts[index] ?? 0;
    setText(now, `${n} ${n === 1 ? line.name : line.plural}`);
  }
}

// ---------------------------------------------------------------- download

function download(formats) {
  const stem = state.source.name.replace(/[.][^.]*$/, "") || "video";
  // The video is here already.
  if (formats.length === 1 && formats[0] === "mp4") return save(state.outcome.file, `${stem}_detections.mp4`);
  menu.setBusy(true);
  packingTimeout();
  trigger("download", { ...order(), formats });
}

let saved = null;
async function save(file, name) {
  // Gradio sends an event's last message twice.
  if (saved === file) return;
  saved = file;
  try {
    await saveFile(file, name);
  } catch (error) {
    tellError({ title: "The download failed", text: `${error.message}. Try again.` });
  }
  saved = null;
  menu.setBusy(false);
}

// ---------------------------------------------------------------- wiring

ui.choose.addEventListener("click", () => ui.input.click());
ui.other.addEventListener("click", () => ui.input.click());
ui.input.addEventListener("change", () => {
  const [file] = ui.input.files;
  take(file);
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
ui.defaultThreshold.addEventListener("click", () => change({ threshold: state.model.threshold }));
createDropZone(ui.root, ({ files }) => take(files[0]));

setText(ui.limits, `MP4, MOV, WebM, MKV, AVI, MPEG, WMV, FLV or GIF, up to ${roughly(LIMITS.seconds)} and ${fileSize(LIMITS.bytes)}. Longer videos must be cut first.`);
writeError(ui, state.error);
redraw();
receive();
commit();
watch("value", receive);
