// CompareView in the browser: takes messages from Python, keeps the models' results and the visitor's settings, and compares and redraws
// without a server call.
//
// Gradio runs this as the body of a function (element, trigger, props, server, upload, watch), after the parts in js/. As in
// detection_view.js, `props.value` is replaced by the settings alone. `receive` is the entrance, `redraw` the exit.

import { createComparison } from "./comparison.js";
import { fillCosts } from "./costs.js";
import { consensusObjects, differenceObjects, pairRows } from "./derived.js";
import { createLinkRow } from "./links.js";
import { createPairTable, formatDifference } from "./pair_table.js";
import { KINDS, agreementOf, createKindChips, createPairPicker, letterOf } from "./pairs.js";
import { createPane, lookOf } from "./panes.js";
import { createScatter } from "./scatter.js";
import { countedObjects, thresholdOf } from "./selection.js";
import { createChips, createChoice, createLayerButtons, createSlider, toggled } from "../components/js/controls.js";
import { collectRefs, debounce, formatScore, make, oncePerFrame, setText, shorten, show } from "../components/js/dom.js";
import { bringIntoView, saveFile, showLines, writeError, writeStatus } from "../components/js/feedback.js";
import { objectArea } from "../components/js/geometry.js";
import { labelText } from "../components/js/labels.js";

export function mount({ element, props, trigger, server, upload, watch, constants }) {
  const LAYERS = constants.layers.map(({ name }) => name);
  const COMMIT_DELAY = 200;
  const ANNOUNCE_DELAY = 500;
  const DOWNLOAD_PATIENCE = 120000;
  const WHY = {
    default: "Scores of different families mean different things: 0.5 from one can be as sure as 0.3 from another. So each model is cut at the threshold suggested for it.",
    same: "One threshold for all is fair within a family only: scores of different families mean different things.",
    top: "The same number of boxes from each model, its surest: fair where scores mean different things, as they do across families.",
    own: "A threshold for each model, because scores of different families mean different things.",
  };
  const DEFAULTS = {
    rule: "default", threshold: 0.5, thresholds: {}, top: 10, iou: 0.5, mode: "side", pair: null, votes: 2,
    ...constants.style, hidden_classes: [],
  };

  const ui = collectRefs(element);
  const lineColors = ["a", "b"].map((name) => getComputedStyle(element).getPropertyValue(`--only-${name}`).trim());
  // Gradio builds the component anew when its tab or visibility changes; what each view showed waits here for that.
  const kept = (window.compareViewResults ??= new Map());
  const viewId = props.value?.view ?? Math.random().toString(36).slice(2);

  let source = null;
  let models = [];
  let points = [];
  let restored = "";
  let settings = { ...DEFAULTS };
  let kinds = new Set(KINDS);
  let comparison = createComparison([], settings);
  // Objects under the pointer and selected, as [model id, index], or null.
  let hovered = null;
  let selected = null;
  let plotted = "";
  // Address of the image that is to be kept.
  let keeping = "";
  let look = { zoom: 1, center: [0, 0] };
  let isLeading = true;
  const hook = { lastRedrawMs: 0, redraws: 0, redraw: () => redraw() };

  const panes = new Map();
  const single = makePane();
  ui.single.append(single.ui.root);
  const swipe = makeSwipe();
  const modeButtons = createChoice(ui.modes, (mode) => change({ mode }));
  const ruleButtons = createChoice(ui.rules, (rule) => change({ rule }));
  const voteButtons = createChoice(ui.votes, (votes) => change({ votes: Number(votes) }));
  const layerButtons = createLayerButtons(ui.layers, constants.layers, (layer) => change({ [layer]: !settings[layer] }));
  const pickers = [ui.stagePair, ui.tablePair].map((container) => createPairPicker(container, (pair) => change({ pair })));
  const kindChips = createKindChips(ui.kinds, toggleKind);
  const pairTable = createPairTable(ui.pairTable, { onHover: hover, onSelect: (ref, again) => select(again && isSame(ref, selected) ? null : ref) });
  const scatter = createScatter(ui.scatter);
  const chips = createChips(ui.chips, ui.bulk, {
    onToggle: (name) => change({ hidden_classes: toggled(settings.hidden_classes, name) }),
    onAll: (on) => change({ hidden_classes: on ? [] : classNames() }),
  });
  const sliders = {
    threshold: createSlider(ui.threshold, formatScore, (threshold) => change({ threshold })),
    top: createSlider(ui.top, String, (top) => change({ top })),
    iou: createSlider(ui.iou, formatScore, (iou) => change({ iou })),
    keypoints: createSlider(ui.keypointThreshold, (logit) => logit.toFixed(1), (keypoint_threshold) => change({ keypoint_threshold })),
    opacity: createSlider(ui.opacity, (share) => `${Math.round(100 * share)}%`, (opacity) => change({ opacity })),
  };
  let ownSliders = new Map();

  const linkRow = createLinkRow(ui, () => ({ image: source.linkName, models, settings }), DEFAULTS, LAYERS, constants.canKeep ? keepImage : null);

  const redrawSoon = oncePerFrame(redraw);
  const commitSettings = debounce(() => { props.value = { settings: settingsToSend(), view: viewId }; }, COMMIT_DELAY);
  const announce = debounce(() => setText(ui.announcer, models.length ? spokenSummary() : ""), ANNOUNCE_DELAY);
  const downloadTimeout = debounce(() => setBusy(ui.download, false), DOWNLOAD_PATIENCE);

  // ---------------------------------------------------------------- messages from Python

  function receive() {
    const message = props.value;
    if (!message) return clear();
    if (message.download) return download(message.download, message.download_name);
    const isSettingsOnly = message.models === undefined;
    if (isSettingsOnly) return;
    if (message.image && source?.image.url !== message.image.url) bringIntoView(ui.root);
    writeStatus(ui, message.status);
    showError(message.error);
    setBusy(ui.measure, ui.measure.classList.contains("dv-busy") && Boolean(message.status));
    if (message.points.length) points = message.points;
    if (message.restore) restoreOnce(message.restore);
    if (message.image) showAll(message);
    else if (message.link_name) showLink(message.link_name);
    else if (message.status) drawCosts();
    else stopWaiting();
    if (message.image || message.notes.length) showLines(ui.notes, message.notes);
    commitSettings.now();
  }

  /** What comes without an image and a status is an end: an error, or that the visitor has cancelled. */
  function stopWaiting() {
    models = models.map((model) => ({ ...model, status: null }));
    for (const model of models) writeStatus(panes.get(model.id).ui, null);
    redraw();
  }

  /** Gradio sends an event's last message twice, and what a link says may come with every message of a run. */
  function restoreOnce(restore) {
    const text = JSON.stringify(restore);
    if (text === restored) return;
    restored = text;
    settings = { ...DEFAULTS, ...restore };
  }

  /** After a rebuild Gradio only knows the settings; the rest is where `redraw` left it. */
  function bringBack() {
    const last = kept.get(viewId);
    if (!last) return;
    ({ settings, points, restored, kinds } = last);
    showLines(ui.notes, last.notes);
    showAll(last.source, last.models);
  }

  function clear() {
    kept.delete(viewId);
    [source, models, points, hovered, selected] = [null, [], [], null, null];
    writeStatus(ui, null);
    showError(null);
    showLines(ui.notes, []);
    arrangePanes(false);
    drawSections();
    commitSettings.now();
  }

  /** A whole message; views whose content stays as it was are left alone. */
  function showAll(message, knownModels = null) {
    const isNewImage = source?.image.url !== message.image.url;
    if (isNewImage) [hovered, selected] = [null, null];
    source = { image: message.image, width: message.width, height: message.height, linkName: message.link_name };
    models = knownModels ?? message.models.map(readModel);
    if (!models.some(({ id, objects }) => selected && id === selected[0] && objects?.[selected[1]])) selected = null;
    hovered = null;
    arrangePanes(isNewImage);
    buildControls();
    drawSections();
    redraw();
  }

  function readModel(model, place) {
    const named = (object, index) => {
      const name = model.categories[object.class_id]?.name ?? `class ${object.class_id}`;
      const own = { ...object, name, area: objectArea(object), refs: [[model.id, index]] };
      return { ...own, label: labelText(own) };
    };
    const known = models.find(({ id }) => id === model.id);
    // Comparing texts is cheaper than drawing a hundred objects again.
    const text = JSON.stringify(model.objects);
    const objects = known?.text === text ? known.objects : model.objects?.map(named) ?? null;
    return { ...model, text, objects, letter: letterOf(place) };
  }

  // ---------------------------------------------------------------- panes

  function makePane() {
    return createPane(ui.paneTemplate, { onHover: (object) => hover(object?.refs[0] ?? null), onSelect: (object) => select(object?.refs[0] ?? null), onCamera: lead });
  }

  /** One pane per model that is there; the single one shows all other views. */
  function arrangePanes(isNewImage) {
    // An image without models is shown as it is.
    const ids = models.length ? models.map(({ id }) => id) : source ? [""] : [];
    for (const [id, pane] of panes) {
      if (ids.includes(id)) continue;
      pane.ui.root.remove();
      panes.delete(id);
    }
    for (const id of ids) {
      const pane = panes.get(id) ?? makePane();
      if (isNewImage || !panes.has(id)) pane.setImage(source);
      panes.set(id, pane);
    }
    if (isNewImage) single.setImage(source);
    if (isNewImage) look = { zoom: 1, center: [source.width / 2, source.height / 2] };
    const roots = ids.map((id) => panes.get(id).ui.root);
    const isRearranged = roots.some((root, i) => ui.panes.children[i] !== root);
    if (isRearranged) ui.panes.replaceChildren(...roots);
    ui.panes.dataset.count = ids.length;
    for (const model of models) fillPane(panes.get(model.id), model);
    if (isRearranged || isNewImage) bringCamerasTogether();
    if (!models.length) panes.forEach((pane) => { show(pane.ui.head, false); pane.ui.image.alt = "The image, not analysed yet"; });
  }

  function fillPane(pane, model) {
    show(pane.ui.head, true);
    setText(pane.ui.letter, model.letter);
    setText(pane.ui.title, model.title);
    pane.ui.title.title = model.title;
    pane.ui.frame.setAttribute("aria-label", `${model.title}; plus and minus zoom, arrows pan`);
    writeStatus(pane.ui, model.status);
    writeError(pane.ui, model.error);
    fillSheet(pane, 0, model);
  }

  const filled = new WeakMap();
  /** Draws a set of objects into one of a pane's sheets, unless it is what the sheet holds already. */
  function fillSheet(pane, place, content) {
    const sheet = pane.sheets[place];
    const objects = content?.objects ?? null;
    if (filled.get(sheet) === objects) return;
    filled.set(sheet, objects);
    sheet.setObjects(objects ? content : null);
    sheet.setCamera(pane.viewport.camera());
  }

  /** All panes look where the one looks that the visitor moves. */
  function lead(leader, camera) {
    if (!isLeading) return;
    isLeading = false;
    look = lookOf(leader);
    for (const pane of panes.values()) if (pane !== leader && pane.isVisible()) pane.viewport.look(look);
    isLeading = true;
    setText(ui.zoomFit, `${Math.round(100 * camera.zoom)}%`);
    ui.zoomOut.disabled = camera.zoom <= 1;
  }

  /** Panes that come on screen have to find out their room, and where the others look. */
  function bringCamerasTogether() {
    isLeading = false;
    for (const { viewport } of [...panes.values(), single]) {
      viewport.measure();
      viewport.look(look);
    }
    isLeading = true;
  }

  const visiblePane = () => [...panes.values(), single].find((pane) => pane.isVisible());

  /** The handle over the single pane that uncovers the one model or the other; a range, so that keys move it, too. */
  function makeSwipe() {
    const line = make("div", "cv-swipe-line");
    const input = make("input", "cv-swipe");
    Object.assign(input, { type: "range", min: 0, max: 100, step: 0.5, value: 50 });
    input.setAttribute("aria-label", "Uncover the first or the second model");
    single.ui.body.append(line, input);
    input.addEventListener("input", () => {
      single.setSplit(input.value / 100);
      input.setAttribute("aria-valuetext", `${Math.round(input.value)}% ${pairModels()[0].title}`);
    });
    return {
      show(visible) {
        show(line, visible);
        show(input, visible);
        single.setSplit(visible ? input.value / 100 : null);
      },
    };
  }

  // ---------------------------------------------------------------- what there is

  const modelOf = (id) => models.find((model) => model.id === id);
  const pairModels = () => pairIds().map(modelOf);
  /** The two models that the visitor has chosen, else the first two with results, else the first two. */
  function pairIds() {
    if (settings.pair?.every(modelOf)) return settings.pair;
    const first = withResults().length >= 2 ? withResults() : models;
    return models.length >= 2 ? first.slice(0, 2).map(({ id }) => id) : [];
  }

  function settingsToSend() {
    return { ...settings, pair: models.length >= 2 ? pairIds() : settings.pair };
  }

  const isSame = (p, q) => p !== null && q !== null && p[0] === q[0] && p[1] === q[1];
  const has = (part) => models.some(({ objects }) => objects?.some((object) => object[part]));
  const withResults = () => models.filter(({ objects }) => objects !== null);

  function classNames() {
    const objects = withResults().flatMap((model) => model.objects);
    return [...new Set([...objects].sort((a, b) => b.score - a.score).map(({ name }) => name))];
  }

  /** "4 persons, 2 dogs", most frequent first. */
  function summaryOf(model) {
    const counts = new Map();
    for (const i of comparison.counted.get(model.id)) counts.set(model.objects[i].class_id, (counts.get(model.objects[i].class_id) ?? 0) + 1);
    const phrases = [...counts].sort((a, b) => b[1] - a[1]).map(([id, n]) => `${n} ${model.categories[id]?.[n === 1 ? "name" : "plural"] ?? `class ${id}`}`);
    return phrases.join(", ") || "nothing found";
  }

  const plainCount = (n, one = "object", many = "objects") => `${n} ${n === 1 ? one : many}`;

  function spokenSummary() {
    const found = withResults().map((model) => `${model.title}: ${plainCount(comparison.counted.get(model.id).length)}`);
    if (settings.mode === "consensus") return `${found.join(", ")}. ${plainCount(comparison.agreed(votesNeeded()).length)} agreed on.`;
    const pair = pairComparison();
    return pair ? `${found.join(", ")}. ${pair.matched.length} agreed, ${pair.onlyA.length} and ${pair.onlyB.length} alone, ${pair.other.length} of other classes.` : found.join(", ");
  }

  /** Null where one of the two has no result. */
  function pairComparison() {
    const pair = pairModels();
    return pair.length === 2 && pair.every(({ objects }) => objects) ? comparison.of(...pairIds()) : null;
  }

  function votesNeeded() {
    return Math.min(settings.votes, Math.max(withResults().length, 2));
  }

  // ---------------------------------------------------------------- settings and redrawing

  function change(patch) {
    settings = { ...settings, ...patch };
    redrawSoon();
    commitSettings();
  }

  function toggleKind(kind) {
    kinds = new Set(KINDS.filter((other) => kinds.has(other) !== (other === kind)));
    redrawSoon();
  }

  /** Controls that depend on the models; sliders take the settings over. */
  function buildControls() {
    const names = classNames();
    const colorOf = (name) => withResults().filter(({ color_by }) => color_by === "class").flatMap(({ objects }) => objects).find((object) => object.name === name)?.color ?? null;
    chips.build(names, (name) => name, colorOf);
    const floor = Math.floor(100 * Math.min(...withResults().map((model) => model.floor), 1)) / 100;
    sliders.threshold.set(settings.threshold, withResults().length ? floor : 0);
    sliders.top.set(settings.top);
    sliders.iou.set(settings.iou);
    sliders.keypoints.set(settings.keypoint_threshold);
    sliders.opacity.set(settings.opacity);
    buildOwnSliders();
  }

  function buildOwnSliders() {
    const known = [...ownSliders.keys()];
    if (known.length !== models.length || models.some(({ id, title }, i) => known[i] !== id || ownSliders.get(id).title !== title)) {
      ownSliders = new Map(models.map((model) => [model.id, makeOwnSlider(model)]));
      ui.own.replaceChildren(...[...ownSliders.values()].map(({ row }) => row));
    }
    for (const model of withResults()) ownSliders.get(model.id).slider.set(settings.thresholds[model.id] ?? model.threshold, Math.floor(100 * model.floor) / 100);
  }

  function makeOwnSlider({ id, title, letter }) {
    const row = ui.threshold.cloneNode(true);
    row.removeAttribute("data-ref");
    show(row, true);
    const label = row.querySelector("label span");
    label.replaceChildren(make("span", "cv-letter", letter), make("span", "cv-own-title", title));
    return { row, title, slider: createSlider(row, formatScore, (threshold) => change({ thresholds: { ...settings.thresholds, [id]: threshold } })) };
  }

  /** Compares and draws what the settings ask for. */
  function redraw() {
    if (!source) return;
    const start = performance.now();
    comparison = createComparison(withResults(), settings);
    if (selected && !comparison.isCounted(selected)) selected = null;
    if (hovered && !comparison.isCounted(hovered)) hovered = null;
    drawControls();
    drawStage();
    drawPair();
    drawCosts();
    emphasise();
    announce();
    kept.set(viewId, { source, models, points, settings, restored, kinds, notes: [...ui.notes.children].map((line) => line.textContent) });
    hook.lastRedrawMs = performance.now() - start;
    hook.redraws += 1;
  }

  /** Parts that are there or not, whatever the settings. */
  function drawSections() {
    const hasModels = models.length > 0;
    show(ui.placeholder, !source);
    for (const part of [ui.bar, ui.panel]) show(part, hasModels);
    ui.root.classList.toggle("cv-without-models", !hasModels);
    if (hasModels) return;
    show(ui.single, false);
    show(ui.panes, true);
    for (const part of [ui.stageHead, ui.linkRow]) show(part, false);
  }

  const isPaired = () => settings.mode === "swipe" || settings.mode === "difference";
  const modeShown = () => (models.length < 2 ? "side" : settings.mode);

  function drawControls() {
    modeButtons.update(modeShown());
    ruleButtons.update(settings.rule);
    voteButtons.update(String(votesNeeded()), (choice) => Number(choice) <= models.length);
    setText(ui.why, WHY[settings.rule]);
    sliders.threshold.show(settings.rule === "same");
    sliders.top.show(settings.rule === "top");
    show(ui.own, settings.rule === "own");
    sliders.keypoints.show(has("keypoints"));
    sliders.opacity.show(has("polygons"));
    layerButtons.update(settings, availableLayers());
    const everything = withResults().flatMap((model) => countedObjects(model, { ...settings, hidden_classes: [] }).map((i) => model.objects[i].name));
    const counts = new Map();
    for (const name of everything) counts.set(name, (counts.get(name) ?? 0) + 1);
    chips.update(counts, new Set(settings.hidden_classes));
    if (models.length >= 2) pickers.forEach((picker) => picker.update(models, pairIds()));
  }

  /** Differences and consensus are about boxes. */
  function availableLayers() {
    if (modeShown() === "difference" || modeShown() === "consensus") return ["labels"];
    const masks = has("polygons");
    const available = { boxes: true, masks, contours: masks, skeletons: has("keypoints"), labels: true };
    return LAYERS.filter((layer) => available[layer]);
  }

  function drawStage() {
    const mode = modeShown();
    const wasSingle = !ui.single.hasAttribute("hidden");
    show(ui.panes, mode === "side");
    show(ui.single, mode !== "side");
    show(ui.stageHead, mode !== "side");
    ui.stageHead.dataset.mode = mode;
    show(ui.stagePair, isPaired());
    show(ui.votesRow, mode === "consensus");
    show(ui.legend, mode === "difference");
    single.ui.root.dataset.mode = mode;
    swipe.show(mode === "swipe");
    show(single.ui.head, false);
    single.setCallout("");
    ({ side: drawSide, swipe: drawSwipe, difference: drawDifference, consensus: drawConsensus })[mode]();
    if (wasSingle !== (mode !== "side")) bringCamerasTogether();
  }

  const layersOn = () => LAYERS.filter((layer) => settings[layer]);

  function drawSide() {
    for (const model of models) {
      const pane = panes.get(model.id);
      setText(pane.ui.facts, factsOf(model));
      pane.setCallout(calloutFor(model));
      pane.ui.image.alt = model.objects ? `${model.title}: ${summaryOf(model)}` : `${model.title}: no result yet`;
      drawSheet(pane, 0, comparison.counted.get(model.id) ?? []);
    }
  }

  function drawSheet(pane, place, shown, layers = layersOn()) {
    pane.sheets[place].setShown(shown);
    pane.sheets[place].draw(settings, layers);
    pane.layLabelsSoon();
  }

  function factsOf(model) {
    if (!model.objects) return "";
    const threshold = thresholdOf(model, settings);
    const rule = threshold === null ? "" : ` · from ${formatScore(threshold)}`;
    return `${plainCount(comparison.counted.get(model.id).length)}${rule}`;
  }

  function calloutFor(model) {
    if (!model.objects) return model.error || model.status ? "" : "No result.";
    if (comparison.counted.get(model.id).length) return "";
    const active = model.objects.filter(({ name }) => !settings.hidden_classes.includes(name));
    if (!model.objects.length) return "The model found nothing in this image.";
    if (!active.length) return "All classes are switched off.";
    const [best] = active;
    return `Nothing from ${formatScore(thresholdOf(model, settings))} on. The best was ${shorten(best.name)} ${formatScore(best.score)}.`;
  }

  function drawSwipe() {
    const pair = pairModels();
    pair.forEach((model, place) => {
      fillSheet(single, place, model);
      drawSheet(single, place, comparison.counted.get(model.id) ?? []);
    });
    single.ui.image.alt = pair.filter(({ objects }) => objects).map((model) => `${model.title}: ${summaryOf(model)}`).join("; ");
    single.ui.frame.setAttribute("aria-label", `${pair.map(({ title }) => title).join(" and ")}; plus and minus zoom, arrows pan`);
    single.setCallout(missingText(pair));
  }

  /** Why two models cannot be compared, or "". */
  function missingText(pair) {
    const missing = pair.find(({ objects }) => !objects);
    if (!missing) return "";
    return missing.error ? `${missing.title} has no result: ${missing.error.text}` : `${missing.title} has no result yet.`;
  }

  function drawDifference() {
    const [a, b] = pairModels();
    const found = pairComparison();
    setText(ui.legendA, `only ${a.letter}`);
    setText(ui.legendB, `only ${b.letter}`);
    single.setCallout(missingText([a, b]));
    drawDerived(found ? differenceObjects(found, a, b, kinds, lineColors) : [], found ? differenceText(found, a, b) : "");
  }

  function differenceText(found, a, b) {
    return `${found.matched.length} agreed, ${found.onlyA.length} only ${a.title}, ${found.onlyB.length} only ${b.title}, ${found.other.length} of another class`;
  }

  function drawConsensus() {
    const results = withResults();
    const found = comparison.agreed(votesNeeded());
    setText(ui.votesText, `of ${plainCount(results.length, "model agrees", "models agree")} on ${plainCount(found.length)}`);
    if (results.length < 2) single.setCallout("Two results at least are needed to agree.");
    else if (!found.length) single.setCallout("There is no object on which so many models agree.");
    drawDerived(consensusObjects(found, results, comparison.counted), `${plainCount(found.length)} on which at least ${votesNeeded()} of ${results.length} models agree`);
  }

  function drawDerived(objects, description) {
    fillSheet(single, 0, { objects, edges: [], keypoint_names: [] });
    fillSheet(single, 1, null);
    drawSheet(single, 0, objects.keys(), settings.labels ? ["boxes", "labels"] : ["boxes"]);
    single.ui.image.alt = description;
    single.ui.frame.setAttribute("aria-label", "Image; plus and minus zoom, arrows pan");
  }

  function drawPair() {
    const found = pairComparison();
    const pair = pairModels();
    const missing = pair.length < 2 ? "Choose a second model to compare." : missingText(pair);
    setText(ui.nothing, missing || (found && KINDS.every((kind) => !found[kind].length) ? "Neither model shows an object." : ""));
    show(ui.nothing, ui.nothing.textContent !== "");
    for (const part of [ui.scroller, ui.kinds]) show(part, Boolean(found));
    show(ui.tablePair, pair.length === 2);
    const [a, b] = pair;
    setText(ui.differenceName, b ? `Mean score ${b.letter} − ${a.letter}` : "Mean score");
    if (!found) return [ui.agreement, ui.meanIou, ui.meanDifference].forEach((node) => setText(node, "–"));
    const letters = [a.letter, b.letter];
    kindChips.update(Object.fromEntries(KINDS.map((kind) => [kind, found[kind].length])), kinds, letters);
    const { agreement, iou, difference } = agreementOf(found, (i) => a.objects[i].score, (j) => b.objects[j].score);
    setText(ui.agreement, agreement === null ? "–" : `${Math.round(100 * agreement)} %`);
    setText(ui.meanIou, iou === null ? "–" : formatScore(iou));
    setText(ui.meanDifference, difference === null ? "–" : formatDifference(difference));
    pairTable.setRows(pairRows(found, a, b).filter(({ kind }) => kinds.has(kind)), letters);
    show(ui.scroller, ui.pairTable.tBodies[0].rows.length > 0);
  }

  function drawCosts() {
    fillCosts(ui.costs, models, models.map(({ id }) => comparison.counted.get(id)?.length ?? null));
    const measured = points.filter(({ latency_ms, box_ap }) => latency_ms !== null && box_ap !== null);
    show(ui.scatterFigure, measured.length > 0);
    ui.scatter.setAttribute("aria-label", `Latency against box AP of ${plainCount(measured.length, "model", "models")}`);
    const text = JSON.stringify([measured, models.map(({ id }) => id)]);
    if (text === plotted) return;
    plotted = text;
    scatter.setPoints(measured.map((point) => ({ ...point, letter: point.compared ? modelOf(point.id)?.letter ?? "" : "" })));
  }

  // ---------------------------------------------------------------- hover and selection

  function hover(ref) {
    if (isSame(ref, hovered) || ref === hovered) return;
    hovered = ref;
    emphasise();
  }

  function select(ref) {
    selected = ref;
    emphasise();
  }

  /** Lights up the object under the pointer, else the selected one, in every view and in the table. */
  function emphasise() {
    const anchor = hovered ?? selected;
    const { group, overlaps } = anchor ? comparison.partners(anchor) : { group: new Map(), overlaps: new Map() };
    for (const [id, pane] of panes) {
      pane.setActive(group);
      pane.setRemark(anchor && id !== anchor[0] && modelOf(id)?.objects ? (overlaps.has(id) ? `same place, IoU ${formatScore(overlaps.get(id))}` : "not here") : "");
    }
    single.setActive(group);
    const chosen = selected ? comparison.partners(selected).group : new Map();
    const isIn = (members, { refs }) => refs.some(([id, index]) => members.get(id) === index);
    pairTable.setActive((row) => isIn(group, row), (row) => isIn(chosen, row));
  }

  // ---------------------------------------------------------------- download, measuring, links

  function ask(event, button) {
    setBusy(button, true);
    commitSettings.now();
    trigger(event, settingsToSend());
  }

  function keepImage() {
    keeping = source.image.url;
    ask("keep", ui.linkKeep);
  }

  /** The image has got a name that a link can hold; another one may be shown by now. */
  function showLink(name) {
    setBusy(ui.linkKeep, false);
    if (source?.image.url !== keeping) return;
    source.linkName = name;
    linkRow.refresh();
  }

  async function download(file, name) {
    commitSettings.now();
    try {
      await saveFile(file, name);
      setBusy(ui.download, false);
    } catch (error) {
      showError({ title: "The download failed", text: `${error.message}. Try again.` });
    }
  }

  function showError(error) {
    writeError(ui, error);
    if (!error) return;
    setBusy(ui.download, false);
    setBusy(ui.measure, false);
    setBusy(ui.linkKeep, false);
  }

  function setBusy(button, busy) {
    button.classList.toggle("dv-busy", busy);
    button.setAttribute("aria-busy", String(busy));
  }

  // ---------------------------------------------------------------- wiring

  ui.zoomIn.addEventListener("click", () => visiblePane()?.viewport.zoomIn());
  ui.zoomOut.addEventListener("click", () => visiblePane()?.viewport.zoomOut());
  ui.zoomFit.addEventListener("click", () => visiblePane()?.viewport.fit());
  ui.download.addEventListener("click", () => { ask("download", ui.download); downloadTimeout(); });
  ui.measure.addEventListener("click", () => ask("measure", ui.measure));
  ui.root.addEventListener("keydown", (event) => {
    if (event.key === "Escape") select(null);
  });

  element.__compareView = hook;
  drawSections();
  bringBack();
  receive();
  watch("value", receive);
}
