// What the view shows: the results, the visitor's thresholds and choices, and what follows from them.

import { confusionCells, confusionEntries } from "./confusion.js";
import { createCurves } from "./curves.js";
import { outcomeOf } from "./paired.js";

/** @typedef {{ all: number, byLabel: Map<number, number> }} ModelThresholds */
/** @typedef {{ iou: number, iou_type: string, label: string, thresholds: Record<string, { all: number, classes: Record<string, number> }> }} LinkSettings see link.py */
/** @typedef {ReturnType<typeof createCurves>} Curves */

export class EvaluateState {
  constructor() {
    /** @type {EvaluationResult | null} */
    this.result = null;
    this.turn = "";
    /** By the model's name: they stay when results come anew. @type {Map<string, ModelThresholds>} */
    this.thresholds = new Map();
    /** By the model's name: the data's class by the model's class. @type {Record<string, Record<string, string | null>>} */
    this.changes = {};
    /** The model whose details are shown. */
    this.shown = 0;
    /** The class of the thresholds and curves; null for all together. @type {number | null} */
    this.label = null;
    this.asShares = false;
    /** The cell whose objects are shown. @type {{ annotated: number, detected: number } | null} */
    this.cell = null;
    this.pair = [0, 1];
    this.kindOfPair = "onlyA";
    this.iou_type = "bbox";
    this.iou = 0.5;
    this.sort = { key: "objects", down: true };
    this.summarySort = { key: "", down: true };
    this.recallSort = { key: "", down: true };
    this.size = "all";
    /** @type {string[]} */
    this.notes = [];
    /** What a link wants of the first results. @type {LinkSettings | null} */
    this.wanted = null;
    /** @type {Curves[]} */
    this.curves = [];
    /** @type {number[]} */
    this.objectCounts = [];
  }

  /** @param {EvaluationResult} result */
  take(result) {
    const isOtherData = this.result?.evaluation !== result.evaluation;
    const names = result.models.map(({ name }) => name).join("\n");
    const areOtherModels = this.result?.models.map(({ name }) => name).join("\n") !== names;
    this.result = result;
    this.iou_type = result.iou_type;
    this.iou = result.iou;
    this.objectCounts = new Array(result.categories.length).fill(0);
    result.objects.label.forEach((label, object) => {
      if (!result.objects.ignored[object]) this.objectCounts[label] += 1;
    });
    this.curves = result.models.map(({ detections }) => createCurves(detections, this.objectCounts));
    for (const { name, threshold } of result.models) if (!this.thresholds.has(name)) this.thresholds.set(name, { all: threshold, byLabel: new Map() });
    if (isOtherData) for (const { byLabel } of this.thresholds.values()) byLabel.clear();
    if (isOtherData) this.label = null;
    if (isOtherData || areOtherModels) Object.assign(this, { shown: 0, pair: [0, 1] });
    this.cell = null;
    if (this.wanted) this.restore(this.wanted, result.categories);
  }

  /** A link was opened: what is compared is known to Python at once, the rest waits for results. @param {LinkSettings} link */
  takeLink(link) {
    Object.assign(this, { iou: link.iou, iou_type: link.iou_type, wanted: link });
  }

  /** @param {LinkSettings} wanted @param {string[]} categories */
  restore({ label, thresholds }, categories) {
    for (const { name } of this.models) {
      const { all, classes } = thresholds[name] ?? {};
      const known = Object.entries(classes ?? {}).flatMap(([own, threshold]) => (categories.includes(own) ? [[categories.indexOf(own), threshold]] : []));
      if (all !== undefined) this.thresholds.set(name, { all, byLabel: new Map(/** @type {[number, number][]} */ (known)) });
    }
    this.label = categories.indexOf(label) > 0 ? categories.indexOf(label) : null;
    this.wanted = null;
  }

  /** @param {number} place the model's @returns {ModelThresholds} */
  thresholdsOf(place) {
    return /** @type {ModelThresholds} */ (this.thresholds.get(this.models[place].name));
  }

  get models() {
    return this.result?.models ?? [];
  }

  /** The threshold of the chosen class, or of all. @param {number} place */
  current(place) {
    const { all, byLabel } = this.thresholdsOf(place);
    return this.label === null ? all : byLabel.get(this.label) ?? all;
  }

  /** Sets the threshold of the chosen class, or of all, which replaces those of classes. @param {number} place @param {number} threshold */
  setThreshold(place, threshold) {
    const thresholds = this.thresholdsOf(place);
    if (this.label !== null) thresholds.byLabel.set(this.label, threshold);
    else Object.assign(thresholds, { all: threshold, byLabel: new Map() });
  }

  /** @param {number} place @returns {(label: number) => number} */
  thresholdOf(place) {
    const { all, byLabel } = this.thresholdsOf(place);
    return byLabel.size ? (label) => byLabel.get(label) ?? all : () => all;
  }

  /** The operating point of the chosen class, or of all. @param {number} place */
  point(place) {
    return this.label === null ? this.curves[place].sums(this.thresholdOf(place)) : this.curves[place].at(this.label, this.current(place));
  }

  /** @param {number} place */
  cells(place) {
    const { objects, categories, models } = /** @type {EvaluationResult} */ (this.result);
    const { detections } = models[place];
    return confusionCells(confusionEntries(detections, objects, this.thresholdOf(place)), detections, objects, categories.length);
  }

  /** @param {number} place */
  outcome(place) {
    const { objects, images, models } = /** @type {EvaluationResult} */ (this.result);
    return outcomeOf(models[place].detections, objects, images.length, this.thresholdOf(place));
  }

  /** What Python is to know of it. */
  order() {
    const categories = this.result?.categories ?? [];
    const ofClasses = (/** @type {Map<number, number>} */ byLabel) => Object.fromEntries([...byLabel].map(([label, threshold]) => [categories[label], threshold]));
    const thresholds = Object.fromEntries([...this.thresholds].map(([name, { all, byLabel }]) => [name, { all, classes: ofClasses(byLabel) }]));
    return { evaluation: this.result?.evaluation ?? "", iou_type: this.iou_type, iou: this.iou, changes: this.changes, thresholds };
  }
}

/** "A" for the first model. @param {number} place */
export const letterOf = (place) => String.fromCharCode(65 + place);

/** A figure of 0–1 as it stands in tables. @param {number | null | undefined} value */
export const figure = (value, digits = 3) => (value == null || Number.isNaN(value) ? "–" : value.toFixed(digits));
