// Which objects of a model count: the rules of CompareSettings.select in compare_settings.py, number for number.

const SCORE_SLACK = 1e-6;

/** The model's threshold under the visitor's rule; null where a number of objects decides. */
export function thresholdOf({ id, threshold: defaultThreshold }, { rule, threshold, thresholds }) {
  return { default: defaultThreshold, same: threshold, own: thresholds[id] ?? defaultThreshold, top: null }[rule];
}

/** Indices of the objects that count, highest score first. */
export function countedObjects(model, settings) {
  const hidden = new Set(settings.hidden_classes);
  const active = [...(model.objects ?? []).keys()].filter((i) => !hidden.has(model.objects[i].name));
  const threshold = thresholdOf(model, settings);
  if (threshold === null) return active.slice(0, settings.top);
  return active.filter((i) => model.objects[i].score >= threshold - SCORE_SLACK);
}
