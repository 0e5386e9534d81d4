// Which objects of a model count: the rules of CompareSettings.select in settings.py, number for number.

const SCORE_SLACK = 1e-6;

/**
 * The model's threshold under the visitor's rule; null where a number of objects decides.
 * @param {{ id: string, threshold: number }} model
 * @param {CompareSettings} settings
 * @returns {number | null}
 */
export function thresholdOf({ id, threshold: defaultThreshold }, { rule, threshold, thresholds }) {
  /** @type {Record<string, number | null>} */
  const byRule = { default: defaultThreshold, same: threshold, own: thresholds[id] ?? defaultThreshold, top: null };
  return byRule[rule];
}

/**
 * Indices of the objects that count, highest score first.
 * @param {{ id: string; threshold: number; objects: { name: string; score: number }[] | null }} model
 * @param {CompareSettings} settings
 */
export function countedObjects(model, settings) {
  const hidden = new Set(settings.hidden_classes);
  const objects = model.objects ?? [];
  const active = [...objects.keys()].filter((i) => !hidden.has(objects[i].name));
  const threshold = thresholdOf(model, settings);
  if (threshold === null) return active.slice(0, settings.top);
  return active.filter((i) => objects[i].score >= threshold - SCORE_SLACK);
}
