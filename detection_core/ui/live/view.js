// LiveView in the browser: shows the camera, has its frames looked at, and draws what comes back over the moving image.
//
// Gradio runs this as the body of a function (element, trigger, props, server, upload, watch), after the parts in js/. Python sends
// messages (see live_message.py); frames go to it one at a time, through the queue. What runs is in one of these phases: "idle";
// "opening" (the browser asks for the camera); "waiting" (for Python's word that a model is ready); "running".

import { inWords } from "../components/js/class_counts.js";
import { createLayerButtons, createSlider } from "../components/js/controls.js";
import { collectRefs, debounce, formatScore, oncePerFrame, setAttribute, setText, shorten, show } from "../components/js/dom.js";
import { showLines, writeError, writeStatus } from "../components/js/feedback.js";
import { objectArea } from "../components/js/geometry.js";
import { createLabels } from "../components/js/labels.js";
import { isSameModel } from "../components/js/model_keys.js";
import { OVERLAY_LAYERS, createOverlay } from "../components/js/overlay.js";
import { cameraObstacle, createCamera, explainCamera, listCameras } from "./camera.js";
import { createCounts } from "./counts.js";
import { createFrames, stillOf } from "./frames.js";
import { createMeter, partsOf } from "./meter.js";
import { createMotion } from "./motion.js";
import { createLiveQueue } from "./queue.js";

export function mount({ element, props, trigger, server, upload, watch, constants }) {
  const LAYERS = constants.layers.map(({ name }) => name);
  const ANNOUNCE_DELAY = 2000;
  const BEGIN_PATIENCE = 30000;
  const METER_INTERVAL = 500;
  // A stream that the server has ended may be replaced by another: the visitor has chosen another model, say.
  const SUCCESSOR_PATIENCE = 1500;
  const CLASSES_IN_SUMMARY = 5;
  const STATS_KEPT = 600;

  const ui = collectRefs(element);
  // Gradio builds the component anew when its tab changes; the settings of each view wait here for that.
  const kept = (window.liveViews ??= new Map());
  const viewId = props.value?.view ?? Math.random().toString(36).slice(2);
  const state = kept.get(viewId) ?? {
    start: null, camera: "", mirror: null,
    settings: { threshold: 0.5, ...constants.style, stable: true },
  };
  kept.set(viewId, state);

  let phase = "idle";
  // The newest answer {result, frame, objects, drawn}.
  let answer = null;
  let shown = [];
  let meterTimer = 0;

  const overlay = createOverlay(ui.overlay);
  const labels = createLabels(ui.labels);
  const motion = createMotion(move);
  const meter = createMeter(ui);
  const counts = createCounts(ui);
  const camera = createCamera(ui.video, () => fail({ title: "The camera is gone", text: "It was unplugged, or is no longer allowed. Press Start to try again." }));
  const frames = createFrames(ui.video, onFrame);
  const queue = createLiveQueue(server, frames, { wishes, result: receiveResult, status: showStatus, expired: expire, failed: fail });
  const layerButtons = createLayerButtons(ui.layers, constants.layers, (layer) => change({ [layer]: !state.settings[layer] }));
  const sliders = {
    threshold: createSlider(ui.threshold, formatScore, (threshold) => change({ threshold })),
    keypoints: createSlider(ui.keypointThreshold, (logit) => logit.toFixed(1), (keypoint_threshold) => change({ keypoint_threshold })),
    opacity: createSlider(ui.opacity, (share) => `${Math.round(100 * share)}%`, (opacity) => change({ opacity })),
  };
  const redrawSoon = oncePerFrame(redraw);
  const drawAnswerSoon = oncePerFrame(drawAnswer);
  const announce = debounce(() => setText(ui.announcer, phase === "running" ? summary() : ""), ANNOUNCE_DELAY);
  const beginTimeout = debounce(() => phase === "waiting" && fail({ title: "The server does not answer", text: "Press Start to try again." }), BEGIN_PATIENCE);

  // ---------------------------------------------------------------- messages from Python

  function receive() {
    const message = props.value;
    const isOurOwn = !message || message.notes === undefined;
    if (isOurOwn) return;
    showLines(ui.notes, message.notes);
    if (message.error) fail(message.error);
    else writeError(ui, null);
    if (message.start && message.start.turn !== state.start?.turn) takeStart(message.start);
    commit();
  }

  function commit() {
    props.value = { stream: queue.stream(), view: viewId };
  }

  /** A model is ready. Nobody may want it any more, or not yet. */
  function takeStart(start) {
    if (!isSameModel(state.start?.model.key, start.model.key)) state.settings.threshold = start.threshold;
    state.start = start;
    frames.fit(start.sides);
    drawModel();
    if (phase !== "waiting" && phase !== "running") return server.end({ stream: start.stream });
    phase = "running";
    forgetAnswer();
    showStatus({ stage: "load", text: `Asking ${start.model.title}` });
    queue.start(start.stream);
    drawPhase();
  }

  function drawModel() {
    const { start, settings } = state;
    show(ui.panel, start !== null);
    ui.root.classList.toggle("lv-without-model", !start);
    if (!start) return;
    setText(ui.model, start.model.title);
    setText(ui.defaultThreshold, `Default ${formatScore(start.threshold)}`);
    settings.threshold = sliders.threshold.set(settings.threshold, Math.floor(start.floor * 100) / 100);
    settings.keypoint_threshold = sliders.keypoints.set(settings.keypoint_threshold);
    settings.opacity = sliders.opacity.set(settings.opacity);
    sliders.keypoints.show(start.tasks.includes("keypoints"));
    sliders.opacity.show(start.tasks.includes("masks"));
    redraw();
  }

  // ---------------------------------------------------------------- start and stop

  async function begin() {
    writeError(ui, null);
    showLines(ui.notes, []);
    if (!(await openCamera())) return;
    phase = "waiting";
    drawPhase();
    showStatus({ stage: "load", text: "Asking for the model" });
    beginTimeout();
    trigger("begin");
  }

  /** Opens the chosen camera, and says why that fails. */
  async function openCamera() {
    const obstacle = cameraObstacle();
    if (obstacle) return fail(obstacle);
    if (phase === "idle") phase = "opening";
    drawPhase();
    try {
      if (!(await camera.open(state.camera))) return false;
    } catch (error) {
      // The next try shall not want a camera that is not there.
      state.camera = "";
      return fail(explainCamera(error));
    }
    frames.start();
    drawCameras();
    drawMirror();
    return true;
  }

  /** @param why what the empty image says */
  function stop(why = "") {
    if (phase === "idle") return;
    const hadStream = phase !== "opening";
    phase = "idle";
    frames.stop();
    camera.close();
    queue.stop();
    forgetAnswer();
    writeStatus(ui, null);
    setText(ui.invitation, why || "See what the model sees, live");
    drawPhase();
    commit();
    if (hadStream) trigger("settled");
  }

  function fail(error) {
    stop();
    writeError(ui, error);
    return false;
  }

  function expire(text) {
    phase = "waiting";
    const isAlone = () => phase === "waiting" && !queue.stream();
    setTimeout(() => isAlone() && fail({ title: "The stream has ended", text }), SUCCESSOR_PATIENCE);
  }

  function drawPhase() {
    const isOn = phase === "waiting" || phase === "running";
    ui.root.classList.toggle("lv-stopped", !isOn);
    for (const part of [ui.bar, ui.toolbar]) show(part, isOn);
    show(ui.empty, !isOn);
    ui.start.disabled = phase === "opening";
    setText(ui.start.querySelector("span"), phase === "opening" ? "Waiting for the camera" : "Start the camera");
    commit();
    clearInterval(meterTimer);
    if (!isOn) return;
    meterTimer = setInterval(look, METER_INTERVAL);
  }

  /** Now and then: the meter, and whether anybody sees this. */
  function look() {
    if (!ui.root.isConnected || ui.root.offsetParent === null) stop("Stopped, because you looked elsewhere");
    else meter.draw(performance.now());
  }

  function onVisibility() {
    if (!ui.root.isConnected) document.removeEventListener("visibilitychange", onVisibility);
    if (document.hidden) stop("Stopped, because this page was hidden");
  }

  // ---------------------------------------------------------------- answers

  /** What is sent along with a frame; what nobody sees need not be computed, and is there again with the next frame. */
  function wishes() {
    const { threshold, stable, masks, contours, skeletons } = state.settings;
    return { threshold, stable, tasks: [(masks || contours) && "masks", skeletons && "keypoints"].filter(Boolean) };
  }

  function showStatus(status) {
    // A slow model is told by the meter, not over the image again and again.
    if (status.stage === "run" && answer) return;
    writeStatus(ui, status);
  }

  function receiveResult(result, frame) {
    const { categories } = state.start;
    const objects = result.objects.map((object) => ({
      ...object, name: categories[object.class_id]?.name ?? `class ${object.class_id}`, area: objectArea(object), number: object.track || undefined,
    }));
    answer = { result, frame, objects, drawn: false };
    drawAnswerSoon();
  }

  /** The camera has given another image: what is drawn over it moves along. */
  function onFrame() {
    queue.sendWhenDue();
    motion.step(performance.now());
  }

  function drawAnswer() {
    if (!answer || answer.drawn) return;
    const { result, frame, objects } = answer;
    answer.drawn = true;
    writeStatus(ui, null);
    // First the labels, which ask for the font: after other changes the browser would have to style the page for that.
    labels.setObjects(objects, liveLabel);
    overlay.setObjects({ objects, edges: state.start.edges, keypoint_names: state.start.keypoint_names });
    overlay.setKeypointThreshold(state.settings.keypoint_threshold);
    motion.follow(objects, frame.time);
    shown = objects.map(() => false);
    redraw();
    motion.step(performance.now());
    const drawn = performance.now();
    const latency = drawn - frame.time;
    for (const [list, news] of [[queue.stats.latencies, latency], [queue.stats.modelMs, result.ms.network + result.ms.post]]) {
      list.push(news);
      if (list.length > STATS_KEPT) list.shift();
    }
    meter.add(drawn, latency, partsOf(result, frame, drawn));
  }

  function forgetAnswer() {
    answer = null;
    shown = [];
    overlay.setObjects(null);
    labels.setObjects([], liveLabel);
    motion.follow([], 0);
    meter.clear();
    redraw();
  }

  function liveLabel({ name, score, track }) {
    return `${shorten(name)}${track ? ` #${track}` : ""} ${formatScore(score)}`;
  }

  /** The tracker keeps what it follows although its score falls; what it has not taken up would only flicker. */
  function isVisible({ score, track }) {
    const { threshold } = state.settings;
    const { frame } = answer;
    const isStronger = score >= threshold - 1e-6;
    if (!frame.stable) return isStronger;
    const isLower = threshold < frame.threshold - 1e-6;
    return track ? isStronger || threshold <= frame.threshold + 1e-6 : isStronger && isLower;
  }

  // ---------------------------------------------------------------- redrawing

  function change(patch) {
    Object.assign(state.settings, patch);
    redrawSoon();
  }

  /** Everything but the objects' own places, which an answer brings and `move` changes. */
  function redraw() {
    const { start, settings } = state;
    if (!start) return;
    const has = { boxes: true, masks: start.tasks.includes("masks"), skeletons: start.tasks.includes("keypoints"), labels: true };
    layerButtons.update(settings, LAYERS.filter((layer) => has[layer === "contours" ? "masks" : layer]));
    for (const layer of OVERLAY_LAYERS) overlay.setLayer(layer, settings[layer]);
    overlay.setOpacity(settings.opacity);
    overlay.setCamera(place());
    ui.defaultThreshold.disabled = Math.abs(settings.threshold - start.threshold) < 0.005;
    shown = (answer?.drawn ? answer.objects : []).map(isVisible);
    shown.forEach((visible, i) => overlay.setVisible(i, visible));
    layLabels();
    drawCounts();
  }

  function drawCounts() {
    const inView = {};
    shown.forEach((visible, i) => {
      const { name } = answer.objects[i];
      if (visible) inView[name] = (inView[name] ?? 0) + 1;
    });
    counts.draw(inView, state.settings.stable ? answer?.result.total ?? {} : null);
    const news = summary();
    if (news === ui.overlay.dataset.summary) return;
    ui.overlay.dataset.summary = news;
    announce();
  }

  function summary() {
    const numbers = new Map();
    shown.forEach((visible, i) => {
      const { class_id: id } = answer.objects[i];
      if (visible) numbers.set(id, (numbers.get(id) ?? 0) + 1);
    });
    return inWords(numbers, state.start?.categories ?? {}, CLASSES_IN_SUMMARY);
  }

  /** Where the image lies in its frame: screen = image · scale + (x, y). */
  function place() {
    const { width, height } = answer?.result ?? { width: 4, height: 3 };
    const scale = Math.min(room.width / width, room.height / height);
    return { scale, x: (room.width - width * scale) / 2, y: (room.height - height * scale) / 2 };
  }

  function layLabels() {
    const { scale, x, y } = place();
    const toFrame = ([x1, y1, x2, y2]) => {
      const [left, top, right, bottom] = [x1 * scale + x, y1 * scale + y, x2 * scale + x, y2 * scale + y];
      return isMirrored() ? [room.width - right, top, room.width - left, bottom] : [left, top, right, bottom];
    };
    const order = state.settings.labels ? shown.flatMap((visible, i) => (visible ? [i] : [])) : [];
    labels.layout(order, (i) => toFrame(answer.objects[i].box), room.width, room.height);
  }

  function move(index, dx, dy) {
    const { scale } = place();
    overlay.setMotion(index, dx, dy);
    labels.setMotion(index, dx * scale * (isMirrored() ? -1 : 1), dy * scale);
  }

  // ---------------------------------------------------------------- camera and mirror

  const room = { width: 1, height: 1 };
  new ResizeObserver(() => {
    Object.assign(room, { width: ui.frame.clientWidth, height: ui.frame.clientHeight });
    redrawSoon();
  }).observe(ui.frame);

  function isMirrored() {
    return state.mirror ?? !camera.looksAway();
  }

  function drawMirror() {
    ui.root.classList.toggle("lv-mirrored", isMirrored());
    setAttribute(ui.mirror, "aria-pressed", isMirrored());
    redrawSoon();
  }

  async function drawCameras() {
    const cameras = await listCameras();
    ui.cameras.replaceChildren(...cameras.map(({ id, name }) => new Option(name, id, false, id === camera.deviceId())));
    show(ui.cameraRow, cameras.length > 1);
  }

  async function changeCamera(id) {
    Object.assign(state, { camera: id, mirror: null });
    frames.stop();
    await openCamera();
  }

  /** The camera's image as a file; Python then shows it in the Detect tab. */
  async function takeSnapshot() {
    ui.snapshot.classList.add("dv-busy");
    try {
      trigger("snapshot", { path: (await upload(await stillOf(ui.video))).path });
    } catch {
      writeError(ui, { title: "The frame could not be sent", text: "Is the server still there? Try again." });
    }
    ui.snapshot.classList.remove("dv-busy");
  }

  // ---------------------------------------------------------------- wiring

  ui.start.addEventListener("click", begin);
  ui.stop.addEventListener("click", () => stop());
  ui.snapshot.addEventListener("click", takeSnapshot);
  ui.cameras.addEventListener("change", () => changeCamera(ui.cameras.value));
  ui.mirror.addEventListener("click", () => {
    state.mirror = !isMirrored();
    drawMirror();
  });
  ui.stable.addEventListener("change", () => change({ stable: ui.stable.checked }));
  ui.defaultThreshold.addEventListener("click", () => change({ threshold: sliders.threshold.set(state.start.threshold) }));
  ui.video.addEventListener("resize", () => ui.frame.style.setProperty("--aspect", `${ui.video.videoWidth} / ${ui.video.videoHeight}`));
  navigator.mediaDevices?.addEventListener("devicechange", () => phase !== "idle" && drawCameras());
  document.addEventListener("visibilitychange", onVisibility);

  // For tests and benchmarks.
  element.liveStats = queue.stats;
  ui.stable.checked = state.settings.stable;
  drawModel();
  drawPhase();
  receive();
  watch("value", receive);
}
