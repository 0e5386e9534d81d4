// The controls of a comparison: what is shown, which objects count, classes, layers and style.

import { onThreshold } from "../components/js/chosen_thresholds.js";
import { createChips, createChoice, createLayerButtons, createSlider, createStyleSliders, layersFor, toggled } from "../components/js/controls.js";
import { formatScore, make, setText, show } from "../components/js/dom.js";
import { isSameModel } from "../components/js/model_keys.js";
import { createPairPicker } from "./pairs.js";
import { countedObjects } from "./selection.js";
import { WHY } from "./words.js";

/**
 * @param {Refs} ui
 * @param {import("./state.js").CompareState} state
 * @param {Layer[]} layers
 * @param {(patch: Record<string, any>) => void} onChange
 */
export function createControls(ui, state, layers, onChange) {
  const modeButtons = createChoice(ui.modes, (mode) => onChange({ mode }));
  const ruleButtons = createChoice(ui.rules, (rule) => onChange({ rule }));
  const voteButtons = createChoice(ui.votes, (votes) => onChange({ votes: Number(votes) }));
  const layerButtons = createLayerButtons(ui.layers, layers, (layer) => onChange({ [layer]: !state.settings[layer] }));
  const pickers = [ui.stagePair, ui.tablePair].map((container) => createPairPicker(container, (pair) => onChange({ pair })));
  const chips = createChips(ui.chips, ui.bulk, {
    onToggle: (name) => onChange({ hidden_classes: toggled(state.settings.hidden_classes, name) }),
    onAll: (on) => onChange({ hidden_classes: on ? [] : state.classNames() }),
  });
  const sliders = {
    threshold: createSlider(ui.threshold, formatScore, (threshold) => onChange({ threshold })),
    top: createSlider(ui.top, String, (top) => onChange({ top })),
    iou: createSlider(ui.iou, formatScore, (iou) => onChange({ iou })),
  };
  const styleSliders = createStyleSliders(ui, onChange);
  /** By model id. @type {Map<string, ReturnType<typeof makeOwnSlider>>} */
  let ownSliders = new Map();

  onThreshold("compare", (key, threshold) => {
    const chosen = state.models.filter(({ id }) => isSameModel(id, key));
    if (!chosen.length) return;
    for (const model of chosen) model.threshold = threshold;
    onChange({ thresholds: { ...state.settings.thresholds, ...Object.fromEntries(chosen.map(({ id }) => [id, threshold])) } });
    buildOwnSliders();
  });

  /** Fits the controls to the models; sliders take the settings over. */
  function build() {
    const { settings } = state;
    const results = state.withResults();
    const colorOf = (/** @type {string} */ name) => results.filter(({ color_by }) => color_by === "class").flatMap(({ objects }) => objects).find((object) => object.name === name)?.color ?? null;
    chips.build(state.classNames(), (name) => name, colorOf);
    const floor = Math.floor(100 * Math.min(...results.map((model) => model.floor), 1)) / 100;
    sliders.threshold.set(settings.threshold, results.length ? floor : 0);
    sliders.top.set(settings.top);
    sliders.iou.set(settings.iou);
    styleSliders.update({ ...settings }, state.parts());
    buildOwnSliders();
  }

  function buildOwnSliders() {
    const { models, settings } = state;
    const known = [...ownSliders.keys()];
    if (known.length !== models.length || models.some(({ id, title }, i) => known[i] !== id || ownSliders.get(id)?.title !== title)) {
      ownSliders = new Map(models.map((model) => [model.id, makeOwnSlider(model)]));
      ui.own.replaceChildren(...[...ownSliders.values()].map(({ row }) => row));
    }
    for (const { id, threshold, floor } of state.withResults()) ownSliders.get(id)?.slider.set(settings.thresholds[id] ?? threshold, Math.floor(100 * floor) / 100);
  }

  /** @param {CompareModel} model */
  function makeOwnSlider({ id, title, letter }) {
    const row = ui.threshold.cloneNode(true);
    row.removeAttribute("data-ref");
    show(row, true);
    row.querySelector("label span").replaceChildren(make("span", "cv-letter", letter), make("span", "cv-own-title", title));
    const slider = createSlider(row, formatScore, (threshold) => onChange({ thresholds: { ...state.settings.thresholds, [id]: threshold } }));
    return { row, title, slider };
  }

  function draw() {
    const { models, settings } = state;
    modeButtons.update(state.modeShown());
    ruleButtons.update(settings.rule);
    voteButtons.update(String(state.votesNeeded()), (choice) => Number(choice) <= models.length);
    setText(ui.why, WHY[settings.rule]);
    sliders.threshold.show(settings.rule === "same");
    sliders.top.show(settings.rule === "top");
    show(ui.own, settings.rule === "own");
    layerButtons.update(settings, layersShown());
    chips.update(countByName(), new Set(settings.hidden_classes));
    if (models.length >= 2) pickers.forEach((picker) => picker.update(models, state.pairIds()));
  }

  /** Differences and consensus are about boxes. */
  function layersShown() {
    const isDerived = state.modeShown() === "difference" || state.modeShown() === "consensus";
    return isDerived ? ["labels"] : layersFor(layers, state.parts());
  }

  /** Numbers of objects as if all classes were switched on. */
  function countByName() {
    const settings = Object.assign({}, state.settings, { hidden_classes: [] });
    const counts = new Map();
    for (const model of state.withResults()) {
      for (const i of countedObjects(model, settings)) counts.set(model.objects[i].name, (counts.get(model.objects[i].name) ?? 0) + 1);
    }
    return counts;
  }

  return { build, draw };
}
