// The thresholds that the visitor has chosen for models in the Evaluate tab, with which the other tabs then start.

import { splitKey } from "./model_keys.js";

/** By the model's name: its scores mean the same in each precision. @type {Map<string, number>} */
const chosen = new Map();
/** Listeners for choices, by view. @type {Map<string, (key: string, threshold: number) => void>} */
const listeners = new Map();

/** @param {string} key @param {number} threshold */
export function chooseThreshold(key, threshold) {
  chosen.set(splitKey(key).name, threshold);
  for (const listener of listeners.values()) listener(key, threshold);
}

/** The visitor's threshold of a model, or its own. @param {string} key @param {number} usual */
export const thresholdFor = (key, usual) => chosen.get(splitKey(key).name) ?? usual;

/** Calls `listener` at every choice, in place of an earlier listener of the view. @param {string} view @param {(key: string, threshold: number) => void} listener */
export function onThreshold(view, listener) {
  listeners.set(view, listener);
}
