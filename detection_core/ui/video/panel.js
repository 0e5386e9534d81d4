// The settings of a video: how many frames, whether objects are tracked, threshold, layers and style.

import { onThreshold } from "../components/js/chosen_thresholds.js";
import { createChoice, createLayerButtons, createSlider, createStyleSliders } from "../components/js/controls.js";
import { counted, formatScore, makeButton, setText } from "../components/js/dom.js";
import { isSameModel } from "../components/js/model_keys.js";
import { framesAt } from "./words.js";

/**
 * @param {Refs} ui
 * @param {import("./state.js").VideoState} state
 * @param {{ layers: Layer[], rates: string[], limits: { seconds: number } }} constants
 * @param {(patch: Record<string, any>) => void} onChange
 */
export function createPanel(ui, state, { layers, rates, limits }, onChange) {
  ui.rates.replaceChildren(...rates.map(makeRate));
  const rateChoice = createChoice(ui.rates, (rate) => onChange({ rate }));
  const trackChoice = createChoice(ui.tracks, (choice) => onChange({ track: choice === "on" }));
  const layerButtons = createLayerButtons(ui.layers, layers, (layer) => onChange({ [layer]: !state.settings[layer] }));
  const threshold = createSlider(ui.threshold, formatScore, (value) => onChange({ threshold: value }));
  const styleSliders = createStyleSliders(ui, onChange);
  onThreshold("video", (key, value) => { if (isSameModel(key, state.model?.key)) onChange({ threshold: value }); });
  ui.defaultThreshold.addEventListener("click", () => state.model && onChange({ threshold: state.model.threshold }));

  return {
    draw() {
      const { model, settings, source } = state;
      if (!model) return;
      const has = (/** @type {string} */ layer) => model.layers.includes(layer) && Boolean(settings[layer]);
      setText(ui.model, model.title);
      rateChoice.update(settings.rate);
      trackChoice.update(settings.track ? "on" : "off");
      layerButtons.update(settings, model.layers);
      settings.threshold = threshold.set(settings.threshold, Math.floor(model.floor * 100) / 100);
      styleSliders.update(settings, { masks: has("masks"), keypoints: has("skeletons") });
      setText(ui.defaultThreshold, `Default ${formatScore(model.threshold)}`);
      ui.defaultThreshold.disabled = Math.abs(settings.threshold - model.threshold) < 0.005;
      setText(ui.trackWords, settings.track ? "Each object keeps its number and color, and its box is steadier." : "Every frame by itself.");
      if (!source?.facts) return setText(ui.rateWords, "");
      const frames = framesAt(source.facts, settings.rate, limits.seconds);
      const isAll = settings.rate === "all" || Number(settings.rate) >= source.facts.fps;
      setText(ui.rateWords, isAll ? `All ${counted(frames, "frame")}.` : `${counted(frames, "frame")} of the video; the video shows these.`);
    },
  };
}

/** @param {string} rate */
function makeRate(rate) {
  const button = makeButton("", rate === "all" ? "Every" : rate, () => {});
  button.dataset.choice = rate;
  if (rate === "all") button.title = "Every frame of the video";
  return button;
}
