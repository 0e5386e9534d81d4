// The controls beside and above the image: threshold with its histogram, layers, style, and chips of classes.

import { createChips, createHistogram, createLayerButtons, createSlider, createStyleSliders, layersFor, toggled } from "../components/js/controls.js";
import { formatScore, setText } from "../components/js/dom.js";
import { createSlices } from "./slices.js";
import { countByClass, nameOf } from "./words.js";

/**
 * @param {Refs} ui the view's elements
 * @param {Layer[]} layers
 * @param {{ settings: () => DetectSettings, onChange: (patch: Record<string, any>) => void }} view
 */
export function createPanel(ui, layers, { settings, onChange }) {
  /** @type {number[]} */
  let classes = [];
  let parts = { masks: false, keypoints: false };
  const histogram = createHistogram(ui.histogram);
  const layerButtons = createLayerButtons(ui.layers, layers, (layer) => onChange({ [layer]: !settings()[layer] }));
  const chips = createChips(ui.chips, ui.bulk, {
    onToggle: (id) => onChange({ hidden_classes: toggled(settings().hidden_classes, id) }),
    onAll: (on) => onChange({ hidden_classes: on ? [] : classes }),
  });
  const threshold = createSlider(ui.threshold, formatScore, (value) => onChange({ threshold: value }));
  const styleSliders = createStyleSliders(ui, onChange);
  const slices = createSlices(ui, { settings, onChange });

  return {
    slices,
    /** Fits everything to a result; what the sliders cannot show of the settings is changed there. @param {DetectResult} result */
    build(result) {
      const { objects, color_by } = result;
      classes = [...new Set(objects.map((object) => object.class_id))];
      parts = { masks: objects.some(({ polygons }) => polygons), keypoints: objects.some(({ keypoints }) => keypoints) };
      const colorOf = (/** @type {number} */ id) => objects.find((object) => object.class_id === id)?.color ?? null;
      chips.build(classes, (id) => nameOf(result, id), (id) => (color_by === "class" ? colorOf(id) : null));
      const floor = Math.floor(result.floor * 100) / 100;
      histogram.build(objects.map(({ score }) => score), floor);
      settings().threshold = threshold.set(settings().threshold, floor);
      styleSliders.update(settings(), parts);
      setText(ui.defaultThreshold, `Default ${formatScore(result.threshold)}`);
    },
    /** Shows the settings, and how many objects of each class are over the threshold. @param {DetectResult} result */
    update(result) {
      const { threshold: lowest, hidden_classes } = settings();
      layerButtons.update(settings(), layersFor(layers, parts));
      chips.update(countByClass(result.objects, ({ score }) => score >= lowest - 1e-9), new Set(hidden_classes));
      histogram.update(lowest);
      slices.update(result);
      ui.defaultThreshold.disabled = Math.abs(lowest - result.threshold) < 0.005;
    },
    /** Without a result there is nothing to switch. */
    clear: () => layerButtons.update(settings(), []),
    /** @param {number} value */
    setThreshold: (value) => onChange({ threshold: threshold.set(value) }),
    hasKeypoints: () => parts.keypoints,
  };
}
