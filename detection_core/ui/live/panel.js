// The controls beside the camera's image: threshold, layers, style, and whether objects are tracked.

import { onThreshold } from "../components/js/chosen_thresholds.js";
import { createLayerButtons, createSlider, createStyleSliders, layersFor } from "../components/js/controls.js";
import { formatScore, setText, show } from "../components/js/dom.js";
import { isSameModel } from "../components/js/model_keys.js";

/**
 * @param {Refs} ui
 * @param {{ start: LiveStart | null, settings: LiveSettings }} state
 * @param {Layer[]} layers
 * @param {(patch: Record<string, any>) => void} onChange
 */
export function createPanel(ui, state, layers, onChange) {
  const layerButtons = createLayerButtons(ui.layers, layers, (layer) => onChange({ [layer]: !state.settings[layer] }));
  const slider = createSlider(ui.threshold, formatScore, (value) => onChange({ threshold: value }));
  const styleSliders = createStyleSliders(ui, onChange);
  ui.stable.checked = state.settings.stable;
  ui.stable.addEventListener("change", () => onChange({ stable: ui.stable.checked }));
  onThreshold("live", (key, threshold) => { if (isSameModel(key, state.start?.model.key)) onChange({ threshold: slider.set(threshold) }); });
  ui.defaultThreshold.addEventListener("click", () => state.start && onChange({ threshold: slider.set(state.start.threshold) }));

  /** @param {LiveStart} start */
  const parts = ({ tasks }) => ({ masks: tasks.includes("masks"), keypoints: tasks.includes("keypoints") });

  return {
    /** Fits everything to the model. */
    build() {
      const { start, settings } = state;
      show(ui.panel, start !== null);
      ui.root.classList.toggle("lv-without-model", !start);
      if (!start) return;
      setText(ui.model, start.model.title);
      setText(ui.defaultThreshold, `Default ${formatScore(start.threshold)}`);
      settings.threshold = slider.set(settings.threshold, Math.floor(start.floor * 100) / 100);
      styleSliders.update(settings, parts(start));
    },
    update() {
      const { start, settings } = state;
      if (!start) return;
      layerButtons.update(settings, layersFor(layers, parts(start)));
      ui.defaultThreshold.disabled = Math.abs(settings.threshold - start.threshold) < 0.005;
    },
    /** What is sent along with a frame; hidden layers need not be computed, and come back with the next frame. */
    options() {
      const { threshold, stable, masks, contours, skeletons } = state.settings;
      return { threshold, stable, tasks: [...(masks || contours ? ["masks"] : []), ...(skeletons ? ["keypoints"] : [])] };
    },
  };
}
