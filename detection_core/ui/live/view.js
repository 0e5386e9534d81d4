// LiveView in the browser: shows the camera, has its frames processed, and draws the results over the moving image.
//
// Python sends messages (see messages.py); frames go to it one at a time, through the queue. What runs is in one of these phases: "idle";
// "opening" (the browser asks for the camera); "waiting" (for Python's word that a model is ready); "running".

import { thresholdFor } from "../components/js/chosen_thresholds.js";
import { collectRefs, debounce, oncePerFrame, setText, show } from "../components/js/dom.js";
import { showLines, writeError, writeStatus } from "../components/js/feedback.js";
import { viewIdOf } from "../components/js/kept.js";
import { isSameModel } from "../components/js/model_keys.js";
import { cameraObstacle, createCamera, explainCamera } from "./camera.js";
import { createCameraChoice } from "./camera_choice.js";
import { createDrawing } from "./drawing.js";
import { createFrames, stillOf } from "./frames.js";
import { createMeter, partsOf } from "./meter.js";
import { createPanel } from "./panel.js";
import { createLiveQueue } from "./queue.js";

const BEGIN_PATIENCE = 30000;
const METER_INTERVAL = 500;
// A stream that the server has ended may be replaced by another: the visitor has chosen another model, say.
const SUCCESSOR_PATIENCE = 1500;

/**
 * The settings of each view, for when Gradio builds its component anew.
 * @type {Map<string, { start: LiveStart | null, camera: string, mirror: boolean | null, settings: LiveSettings }>}
 */
const kept = new Map();

/** @param {Mounting} mounting */
export function mount({ element, props, trigger, server, upload, watch, constants }) {
  const ui = collectRefs(element);
  const viewId = viewIdOf(props);
  const state = kept.get(viewId) ?? { start: null, camera: "", mirror: null, settings: { threshold: 0.5, stable: true, ...constants.style } };
  kept.set(viewId, state);

  let phase = "idle";
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let meterTimer;

  const meter = createMeter(ui);
  const camera = createCamera(ui.video, () => fail({ title: "The camera is gone", text: "It was unplugged, or is no longer allowed. Press Start to try again." }));
  const cameraChoice = createCameraChoice(ui, state, camera, { onCamera: changeCamera, onMirror: () => redrawSoon() });
  const drawing = createDrawing(ui, state, { isMirrored: cameraChoice.isMirrored, isRunning: () => phase === "running", onDrawn });
  const frames = createFrames(ui.video, onFrame);
  const panel = createPanel(ui, state, constants.layers, change);
  const queue = createLiveQueue(server, frames, { options: panel.options, result: drawing.take, status: showStatus, away: forgetAnswer, expired: expire, failed: fail });
  const redrawSoon = oncePerFrame(redraw);
  const beginTimeout = debounce(() => phase === "waiting" && fail({ title: "The server does not answer", text: "Press Start to try again." }), BEGIN_PATIENCE);

  // ---------------------------------------------------------------- messages from Python

  function receive() {
    const message = props.value;
    if (!message || message.notes === undefined) return; // Its own.
    showLines(ui.notes, message.notes);
    if (message.error) fail(message.error);
    else writeError(ui, null);
    if (message.start && message.start.turn !== state.start?.turn) takeStart(message.start);
    commit();
  }

  function commit() {
    props.value = { stream: queue.stream(), view: viewId };
  }

  /** A model is ready. The visitor may have stopped, or not started yet. @param {LiveStart} start */
  function takeStart(start) {
    if (!isSameModel(state.start?.model.key, start.model.key)) state.settings.threshold = thresholdFor(start.model.key, start.threshold);
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
    panel.build();
    redraw();
  }

  // ---------------------------------------------------------------- start and stop

  async function begin() {
    writeError(ui, null);
    showLines(ui.notes, []);
    if (await openCamera()) askForStream();
  }

  function askForStream() {
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
    cameraChoice.draw();
    return true;
  }

  /** Ends what runs. @param {string} why what the empty image says */
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
    if (hadStream) trigger("finished");
  }

  /** @param {ViewError} error */
  function fail(error) {
    stop();
    writeError(ui, error);
    return false;
  }

  /** Another page has taken over, or the server was started anew and knows none of its streams. @param {string} text @param {boolean} hasWorked */
  function expire(text, hasWorked) {
    phase = "waiting";
    setTimeout(() => {
      if (phase !== "waiting" || queue.stream()) return;
      if (hasWorked) askForStream();
      else fail({ title: "The stream has ended", text });
    }, SUCCESSOR_PATIENCE);
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
    meterTimer = setInterval(check, METER_INTERVAL);
  }

  /** At intervals: updates the meter, and stops if the view is out of sight. */
  function check() {
    if (!ui.root.isConnected || ui.root.offsetParent === null) stop("Stopped, because you opened another tab");
    else meter.draw(performance.now());
  }

  function onVisibility() {
    if (!ui.root.isConnected) document.removeEventListener("visibilitychange", onVisibility);
    if (document.hidden) stop("Stopped, because this page was hidden");
  }

  // ---------------------------------------------------------------- answers

  /** @param {ViewStatus} status */
  function showStatus(status) {
    // The meter reports a slow model; a message over the image would come again and again.
    if (status.stage === "run" && drawing.hasAnswer()) return;
    writeStatus(ui, status);
  }

  /** The camera has given another image: what is drawn over it moves along. */
  function onFrame() {
    queue.sendWhenDue();
    drawing.step(performance.now());
  }

  /** @param {LiveResult} result @param {import("./drawing.js").Answered} frame @param {number} now */
  function onDrawn(result, frame, now) {
    const latency = now - frame.time;
    queue.record(latency, result.ms.network + result.ms.post);
    meter.add(now, latency, partsOf(result, frame, now));
  }

  function forgetAnswer() {
    meter.clear();
    drawing.forget();
  }

  // ---------------------------------------------------------------- redrawing

  /** @param {Record<string, any>} patch */
  function change(patch) {
    Object.assign(state.settings, patch);
    redrawSoon();
  }

  function redraw() {
    panel.update();
    drawing.redraw();
  }

  // ---------------------------------------------------------------- the camera

  function changeCamera() {
    frames.stop();
    openCamera();
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
  ui.video.addEventListener("resize", () => ui.frame.style.setProperty("--aspect", `${ui.video.videoWidth} / ${ui.video.videoHeight}`));
  navigator.mediaDevices?.addEventListener("devicechange", () => phase !== "idle" && cameraChoice.drawCameras());
  document.addEventListener("visibilitychange", onVisibility);

  // For tests and benchmarks.
  element.liveStats = queue.stats;
  drawModel();
  drawPhase();
  receive();
  watch("value", receive);
}
