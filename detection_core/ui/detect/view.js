// DetectionView in the browser: takes messages from Python, keeps the result and the visitor's settings, and redraws without a server call.
//
// Gradio runs this as the body of a function (element, trigger, props, server, upload, watch), after the parts in js/. The value that
// Python sends is a message (see detection_view.py). Its heavy parts are kept here, and `props.value` is replaced by the settings
// alone: Gradio would otherwise compare, copy and send back every polygon at each event. `receive` is the entrance, `redraw` the exit.

import { createChips, createHistogram, createLayerButtons, createSlider, toggled } from "../components/js/controls.js";
import { clamp, collectRefs, debounce, formatMs, formatScore, oncePerFrame, setText, shorten, show } from "../components/js/dom.js";
import { createExportMenu } from "../components/js/export_menu.js";
import { bringIntoView, saveFile, showLines, writeError, writeStatus } from "../components/js/feedback.js";
import { objectArea, objectAt } from "../components/js/geometry.js";
import { createLabels, labelText } from "../components/js/labels.js";
import { isSameModel } from "../components/js/model_keys.js";
import { OVERLAY_LAYERS, createOverlay } from "../components/js/overlay.js";
import { createViewport } from "../components/js/viewport.js";
import { createTable } from "./table.js";

export function mount({ element, props, trigger, server, upload, watch, constants }) {
  const LAYERS = constants.layers.map(({ name }) => name);
  const COMMIT_DELAY = 200;
  const ANNOUNCE_DELAY = 500;
  const DOWNLOAD_PATIENCE = 60000;
  const CLASSES_IN_SUMMARY = 5;

  const ui = collectRefs(element);
  // Gradio builds the component anew when its tab or visibility changes; the last result of each view waits here for that.
  const kept = (window.detectionViewResults ??= new Map());
  const viewId = props.value?.view ?? Math.random().toString(36).slice(2);

  let result = null;
  let modelKey = null;
  let shown = [];
  let selected = -1;
  let hovered = -1;
  let settings = {
    threshold: 0.5, hidden_classes: [], ...constants.style,
  };
  const hook = { lastRedrawMs: 0, redraws: 0, redraw: () => redraw(true), visibleCount: () => shown.filter(Boolean).length };

  const overlay = createOverlay(ui.overlay);
  const labels = createLabels(ui.labels);
  const viewport = createViewport(ui.frame, onCamera, (point) => select(objectUnder(point)));
  const table = createTable(ui.scroller, { onHover: hover, onSelect: (index, again) => select(again && index === selected ? -1 : index) });
  const histogram = createHistogram(ui.histogram);
  const layerButtons = createLayerButtons(ui.layers, constants.layers, (layer) => change({ [layer]: !settings[layer] }));
  const chips = createChips(ui.chips, ui.bulk, {
    onToggle: (id) => setHiddenClasses(toggled(settings.hidden_classes, id)),
    onAll: (on) => setHiddenClasses(on ? [] : classesOf(result)),
  });
  const sliders = {
    threshold: createSlider(ui.threshold, formatScore, (threshold) => change({ threshold })),
    keypoints: createSlider(ui.keypointThreshold, (logit) => logit.toFixed(1), (keypoint_threshold) => change({ keypoint_threshold })),
    opacity: createSlider(ui.opacity, (share) => `${Math.round(100 * share)}%`, (opacity) => change({ opacity })),
  };

  const formats = createExportMenu(ui.formats, constants.exportFormats, ([format]) => askForDownload(format));

  const redrawSoon = oncePerFrame(() => redraw(false));
  const layLabelsSoon = oncePerFrame(layLabels);
  const commitSettings = debounce(() => { props.value = { settings, view: viewId }; }, COMMIT_DELAY);
  const announce = debounce(() => setText(ui.announcer, result ? summary(Infinity) : ""), ANNOUNCE_DELAY);
  const downloadTimeout = debounce(() => setDownloading(false), DOWNLOAD_PATIENCE);

  // ---------------------------------------------------------------- messages from Python

  function receive() {
    const message = props.value;
    if (!message) return clear();
    if (message.download) return download(message.download, message.download_name);
    const isSettingsOnly = message.objects === undefined;
    if (isSettingsOnly) return;
    if (result && isNews(message)) bringIntoView(ui.root);
    writeStatus(ui, message.status);
    showError(message.error);
    if (message.image) showImage(message);
    if (message.objects) showResult(message);
    else if (message.notes.length) showLines(ui.notes, message.notes);
    kept.set(viewId, { result, modelKey, settings, image: message.image ? message : kept.get(viewId)?.image });
    commitSettings.now();
  }

  /** Gradio sends an event's last message twice. */
  function isNews({ status, error, image, model }) {
    return Boolean(status || error) || (image && ui.image.getAttribute("src") !== image.url) || (model && modelKey !== model.key);
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
    result = null;
    kept.delete(viewId);
    writeStatus(ui, null);
    showError(null);
    show(ui.image, false);
    ui.image.removeAttribute("src");
    show(ui.placeholder, true);
    forgetObjects();
    commitSettings.now();
  }

  function showImage({ image, width, height }) {
    const isNew = ui.image.getAttribute("src") !== image.url;
    ui.image.src = image.url;
    show(ui.image, true);
    show(ui.placeholder, false);
    ui.frame.style.setProperty("--aspect", `${width} / ${height}`);
    Object.assign(ui.image, { width, height });
    if (!isNew) return;
    forgetObjects();
    viewport.setImage(width, height);
  }

  function forgetObjects() {
    result = null;
    shown = [];
    hovered = selected = -1;
    overlay.setObjects(null);
    labels.setObjects([], () => "");
    ui.image.alt = "The image, not analysed yet";
    for (const part of [ui.panel, ui.callout, ui.notes, ui.timings, ui.tooltip]) show(part, false);
    layerButtons.update(settings, []);
    ui.root.classList.add("dv-without-result");
  }

  function showResult(message) {
    const start = performance.now();
    if (!isSameModel(modelKey, message.model.key)) settings = { ...settings, threshold: message.threshold, hidden_classes: [] };
    modelKey = message.model.key;
    const objects = message.objects.map((object) => ({ ...object, name: nameOf(message, object.class_id), area: objectArea(object) }));
    result = { ...message, objects };
    shown = objects.map(() => false);
    hovered = selected = -1;
    ui.root.classList.remove("dv-without-result");
    overlay.setObjects(result);
    labels.setObjects(objects, labelText);
    table.setObjects(objects, has("keypoints"));
    chips.build(classesOf(result), (id) => nameOf(result, id), (id) => (result.color_by === "class" ? objects.find((o) => o.class_id === id).color : null));
    const floor = Math.floor(result.floor * 100) / 100;
    histogram.build(objects.map((object) => object.score), floor);
    settings.threshold = sliders.threshold.set(settings.threshold, floor);
    settings.keypoint_threshold = sliders.keypoints.set(settings.keypoint_threshold);
    settings.opacity = sliders.opacity.set(settings.opacity);
    sliders.keypoints.show(has("keypoints"));
    sliders.opacity.show(has("polygons"));
    setText(ui.defaultThreshold, `Default ${formatScore(result.threshold)}`);
    formats.setAvailable(result.formats, "This model does not find what this format is about.");
    setText(ui.model, result.model.title);
    show(ui.model, Boolean(result.model.title));
    show(ui.panel, true);
    showLines(ui.notes, result.notes);
    show(ui.timings, result.timings.length > 0);
    emphasise();
    // The panel has taken its room only now.
    viewport.measure();
    redraw(true);
    const timings = [...result.timings, { name: "draw", ms: performance.now() - start }];
    setText(ui.timings, timings.map(({ name, ms }) => `${name} ${formatMs(ms)}`).join(" · "));
  }

  function showError(error) {
    writeError(ui, error);
    if (error) setDownloading(false);
  }

  // ---------------------------------------------------------------- what there is

  const has = (part) => result.objects.some((object) => object[part]);
  const classesOf = ({ objects }) => [...new Set(objects.map((object) => object.class_id))];
  const nameOf = ({ categories }, id) => categories[id]?.name ?? `class ${id}`;

  function availableLayers() {
    const masks = has("polygons");
    const available = { boxes: true, masks, contours: masks, skeletons: has("keypoints"), labels: true };
    return LAYERS.filter((layer) => available[layer]);
  }

  function countByClass(isCounted) {
    const counts = new Map();
    result.objects.forEach((object, i) => {
      if (isCounted(object, i)) counts.set(object.class_id, (counts.get(object.class_id) ?? 0) + 1);
    });
    return counts;
  }

  /** "4 persons, 2 dogs", most frequent first. */
  function summary(limit) {
    const counts = [...countByClass((_, i) => shown[i])].sort((a, b) => b[1] - a[1]);
    const phrases = counts.map(([id, n]) => `${n} ${n === 1 ? nameOf(result, id) : result.categories[id]?.plural ?? nameOf(result, id)}`);
    const rest = phrases.length - limit;
    const listed = rest > 1 ? [...phrases.slice(0, limit), `${rest} more kinds`] : phrases;
    return listed.join(", ") || "Nothing found";
  }

  // ---------------------------------------------------------------- settings and redrawing

  function change(patch) {
    settings = { ...settings, ...patch };
    redrawSoon();
    commitSettings();
  }

  function setHiddenClasses(hidden_classes) {
    change({ hidden_classes });
  }

  /** Shows exactly the objects over the threshold in active classes; touches only those whose state changed. */
  function redraw(everything) {
    if (!result) return;
    const start = performance.now();
    const hidden = new Set(settings.hidden_classes);
    const changed = updateVisibility(hidden);
    drawSettings(hidden);
    if (changed || everything) {
      if (selected >= 0 && !shown[selected]) select(-1);
      if (hovered >= 0 && !shown[hovered]) hover(-1);
      table.refreshTabStop();
      describe();
    }
    drawCallout(hidden);
    layLabels();
    const last = kept.get(viewId);
    if (last) last.settings = settings;
    hook.lastRedrawMs = performance.now() - start;
    hook.redraws += 1;
  }

  function updateVisibility(hidden) {
    let changed = false;
    result.objects.forEach((object, i) => {
      const visible = object.score >= settings.threshold - 1e-9 && !hidden.has(object.class_id);
      if (visible === shown[i]) return;
      changed = true;
      shown[i] = visible;
      overlay.setVisible(i, visible);
      table.setVisible(i, visible);
    });
    return changed;
  }

  function drawSettings(hidden) {
    layerButtons.update(settings, availableLayers());
    for (const layer of OVERLAY_LAYERS) overlay.setLayer(layer, settings[layer]);
    overlay.setOpacity(settings.opacity);
    chips.update(countByClass((object) => object.score >= settings.threshold - 1e-9), hidden);
    histogram.update(settings.threshold);
    ui.defaultThreshold.disabled = Math.abs(settings.threshold - result.threshold) < 0.005;
    drawKeypoints();
  }

  let drawnKeypoints = {};
  function drawKeypoints() {
    if (!has("keypoints")) return;
    if (drawnKeypoints.result === result && drawnKeypoints.threshold === settings.keypoint_threshold) return;
    drawnKeypoints = { result, threshold: settings.keypoint_threshold };
    overlay.setKeypointThreshold(settings.keypoint_threshold);
    const countKeypoints = ({ keypoints }) => keypoints?.filter(([, , logit]) => logit > settings.keypoint_threshold).length ?? null;
    table.setKeypoints(result.objects.map(countKeypoints));
  }

  function describe() {
    const n = hook.visibleCount();
    setText(ui.count, n ? `${n} ${n === 1 ? "object" : "objects"} · ${summary(CLASSES_IN_SUMMARY)}` : "0 objects");
    ui.image.alt = summary(Infinity);
    announce();
  }

  /** Says why the image is empty and offers the way out. */
  function drawCallout(hidden) {
    const { objects } = result;
    const active = objects.filter((object) => !hidden.has(object.class_id));
    const callout = calloutFor(objects, active);
    show(ui.callout, callout !== null && !shown.includes(true));
    if (!callout) return;
    setText(ui.calloutText, callout.text);
    setText(ui.calloutButton, callout.button ?? "");
    show(ui.calloutButton, Boolean(callout.button));
    ui.calloutButton.onclick = callout.action;
  }

  function calloutFor(objects, active) {
    if (!objects.length) return { text: "The model found nothing in this image. Another model may see more." };
    if (!active.length) return { text: "All classes are switched off.", button: "Show all classes", action: () => setHiddenClasses([]) };
    const [best] = active;
    const lower = Math.floor(best.score * 100 + 1e-6) / 100;
    return {
      text: `Nothing above ${formatScore(settings.threshold)}. The best was ${best.name} ${formatScore(best.score)}.`,
      button: `Lower the threshold to ${formatScore(lower)}`,
      action: () => change({ threshold: sliders.threshold.set(lower) }),
    };
  }

  // ---------------------------------------------------------------- hover, selection, camera

  function objectUnder([px, py]) {
    if (!result) return -1;
    const [x, y] = viewport.toImage([px, py]);
    return objectAt(result.objects, (i) => shown[i], x, y, 4 / viewport.camera().scale);
  }

  function hover(index) {
    if (index === hovered) return;
    hovered = index;
    emphasise();
  }

  function select(index) {
    if (index === selected) return;
    selected = index;
    table.setSelected(index);
    emphasise();
  }

  function emphasise() {
    const active = [...new Set([hovered, selected])].filter((index) => index >= 0);
    for (const part of [overlay, labels, table]) part.setActive(active);
    layLabelsSoon();
  }

  function layLabels() {
    if (!result) return;
    const visible = shown.flatMap((isShown, i) => (isShown ? [i] : []));
    const first = [hovered, selected].filter((index) => index >= 0 && shown[index]);
    const order = settings.labels ? [...new Set([...first, ...visible])] : [];
    const { width, height } = viewport.size();
    labels.layout(order, (i) => viewport.toFrame(result.objects[i].box), width, height);
  }

  function onCamera(camera) {
    ui.image.style.transform = `translate(${camera.x}px, ${camera.y}px) scale(${camera.scale})`;
    overlay.setCamera(camera);
    setText(ui.zoomFit, `${Math.round(100 * camera.zoom)}%`);
    ui.zoomOut.disabled = camera.zoom <= 1;
    layLabelsSoon();
  }

  function pointAt(event) {
    if (event.pointerType !== "mouse" || viewport.isDragging() || event.target.closest("button, .dv-callout")) return leaveImage();
    const point = viewport.framePoint(event);
    const index = objectUnder(point);
    hover(index);
    ui.frame.classList.toggle("dv-pointing", index >= 0);
    show(ui.tooltip, index >= 0);
    if (index < 0) return;
    const { name, score, box: [x1, y1, x2, y2] } = result.objects[index];
    setText(ui.tooltip, `${shorten(name)} · ${formatScore(score)} · ${Math.round(x2 - x1)}×${Math.round(y2 - y1)} px`);
    const { width, height } = viewport.size();
    const x = clamp(point[0] + 14, 4, Math.max(width - ui.tooltip.offsetWidth - 4, 4));
    const y = point[1] + 44 > height ? point[1] - 38 : point[1] + 16;
    ui.tooltip.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }

  function leaveImage() {
    hover(-1);
    show(ui.tooltip, false);
    ui.frame.classList.remove("dv-pointing");
  }

  // ---------------------------------------------------------------- download

  /** Asks Python for a file; it answers with a message that has a `download`, and the browser saves that file. */
  function askForDownload(format) {
    setDownloading(true);
    downloadTimeout();
    commitSettings.now();
    trigger("download", { format });
  }

  async function download(file, name) {
    commitSettings.now();
    try {
      await saveFile(file, name);
      setDownloading(false);
    } catch (error) {
      showError({ title: "The download failed", text: `${error.message}. Try again.` });
    }
  }

  function setDownloading(busy) {
    ui.download.classList.toggle("dv-busy", busy);
    ui.download.setAttribute("aria-busy", String(busy));
  }

  // ---------------------------------------------------------------- wiring

  ui.frame.addEventListener("pointermove", pointAt);
  ui.frame.addEventListener("pointerleave", leaveImage);
  ui.zoomIn.addEventListener("click", viewport.zoomIn);
  ui.zoomOut.addEventListener("click", viewport.zoomOut);
  ui.zoomFit.addEventListener("click", viewport.fit);
  ui.download.addEventListener("click", () => askForDownload("png"));
  ui.defaultThreshold.addEventListener("click", () => change({ threshold: sliders.threshold.set(result.threshold) }));
  ui.root.addEventListener("keydown", (event) => {
    if (event.key === "Escape") select(-1);
  });
  ui.image.addEventListener("error", () => showError({ title: "The image could not be shown", text: "Its file is no longer on the server. Choose it again." }));

  element.__detectionView = hook;
  forgetObjects();
  restore();
  receive();
  watch("value", receive);
}
