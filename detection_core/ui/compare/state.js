// The state of a CompareView: the image, the models and what they found, the visitor's settings; and what follows from these.

import { thresholdFor } from "../components/js/chosen_thresholds.js";
import { objectArea } from "../components/js/geometry.js";
import { labelText } from "../components/js/labels.js";
import { createComparison } from "./comparison.js";
import { KINDS, letterOf } from "./pairs.js";

export class CompareState {
  /** @param {CompareSettings} defaults */
  constructor(defaults) {
    /** @type {CompareSource | null} */
    this.source = null;
    /** @type {CompareModel[]} */
    this.models = [];
    /** @type {ComparePoint[]} */
    this.points = [];
    /** What a link said last. */
    this.restored = "";
    this.settings = { ...defaults };
    /** @type {Set<Kind>} */
    this.kinds = new Set(KINDS);
    /** @type {Ref | null} */
    this.hovered = null;
    /** @type {Ref | null} */
    this.selected = null;
    this.comparison = createComparison([], this.settings);
  }

  /**
   * Models as Python sends them, with names, letters and labels; objects that are known already stay the same.
   * @param {CompareModelMessage[]} models
   * @returns {CompareModel[]}
   */
  read(models) {
    return models.map((model, place) => {
      const known = this.modelOf(model.id);
      // Comparing texts is cheaper than drawing a hundred objects again.
      const text = JSON.stringify(model.objects);
      const objects = known?.text === text ? known.objects : model.objects?.map((object, index) => named(model, object, index)) ?? null;
      return { ...model, threshold: thresholdFor(model.id, model.threshold), text, objects, letter: letterOf(place) };
    });
  }

  /** Compares anew; what no longer counts is neither selected nor under the pointer. */
  compare() {
    this.comparison = createComparison(this.withResults(), this.settings);
    if (this.selected && !this.comparison.isCounted(this.selected)) this.selected = null;
    if (this.hovered && !this.comparison.isCounted(this.hovered)) this.hovered = null;
  }

  /** @param {string} id */
  modelOf(id) {
    return this.models.find((model) => model.id === id);
  }

  withResults() {
    return /** @type {CompareResult[]} */ (this.models.filter(({ objects }) => objects !== null));
  }

  /** Places of the objects of a model that count. @param {CompareModel} model */
  countedOf(model) {
    return this.comparison.counted.get(model.id) ?? [];
  }

  /**
   * The two models that the visitor has chosen, else the first two with results, else the first two.
   * @returns {string[]}
   */
  pairIds() {
    const { pair } = this.settings;
    if (pair?.every((/** @type {string} */ id) => this.modelOf(id))) return pair;
    const first = this.withResults().length >= 2 ? this.withResults() : this.models;
    return this.models.length >= 2 ? first.slice(0, 2).map(({ id }) => id) : [];
  }

  pairModels() {
    return this.pairIds().flatMap((id) => this.modelOf(id) ?? []);
  }

  /** Null where one of the two has no result. */
  pairComparison() {
    const pair = this.pairModels();
    return pair.length === 2 && pair.every(({ objects }) => objects) ? this.comparison.of(pair[0].id, pair[1].id) : null;
  }

  votesNeeded() {
    return Math.min(this.settings.votes, Math.max(this.withResults().length, 2));
  }

  /** @returns {"side" | "swipe" | "difference" | "consensus"} */
  modeShown() {
    return this.models.length < 2 ? "side" : this.settings.mode;
  }

  settingsToSend() {
    return { ...this.settings, pair: this.models.length >= 2 ? this.pairIds() : this.settings.pair };
  }

  parts() {
    const has = (/** @type {"polygons" | "keypoints"} */ part) => this.models.some(({ objects }) => objects?.some((object) => object[part]));
    return { masks: has("polygons"), keypoints: has("keypoints") };
  }

  /** Names of all classes, in the order of their best scores. */
  classNames() {
    const objects = this.withResults().flatMap((model) => model.objects);
    return [...new Set([...objects].sort((a, b) => b.score - a.score).map(({ name }) => name))];
  }

  /** What stands for the object under the pointer, else for the selected one: all of these are emphasized. */
  emphasized() {
    const anchor = this.hovered ?? this.selected;
    const { group, overlaps } = anchor ? this.comparison.partners(anchor) : { group: new Map(), overlaps: new Map() };
    const chosen = this.selected ? this.comparison.partners(this.selected).group : new Map();
    return { anchor, group, overlaps, chosen };
  }
}

/** @param {CompareModelMessage} model @param {ViewObject} object @param {number} index */
function named(model, object, index) {
  const name = model.categories[object.class_id]?.name ?? `class ${object.class_id}`;
  const label = labelText({ name, score: object.score });
  return { ...object, name, label, area: objectArea(object), refs: [/** @type {Ref} */ ([model.id, index])] };
}

/** @param {Ref | null} p @param {Ref | null} q */
export const isSame = (p, q) => p !== null && q !== null && p[0] === q[0] && p[1] === q[1];
