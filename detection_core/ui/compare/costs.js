// What each model costs beside what it found: a row per model.

import { letterOf } from "./pairs.js";
import { formatMs, make } from "../components/js/dom.js";

/** @param {number} megabytes */
function formatMegabytes(megabytes) {
  return megabytes >= 1000 ? `${(megabytes / 1000).toFixed(1)} GB` : `${Math.round(megabytes)} MB`;
}

const NO_BREAK = String.fromCharCode(0xa0);

/**
 * Fills the table's body; `counts` are the objects shown of each model, null where there is no result.
 * @param {HTMLElement} body
 * @param {CompareModel[]} models
 * @param {(number | null)[]} counts
 */
export function fillCosts(body, models, counts) {
  body.replaceChildren(...models.map((model, place) => costRow(model, letterOf(place), counts[place])));
}

/** @param {CompareModel} model @param {string} letter @param {number | null} count */
function costRow({ title, cost }, letter, count) {
  const row = make("tr");
  const name = make("th");
  name.scope = "row";
  const line = make("div", "cv-cost-name");
  line.append(make("span", "cv-letter", letter), make("span", "", title));
  name.append(line);
  const latency = make("td", "cv-number");
  latency.append(...latencyLines(cost));
  const accuracy = make("td", "cv-number", cost?.box_ap == null ? "–" : cost.box_ap.toFixed(1));
  if (cost?.metrics_on) accuracy.title = `on ${cost.metrics_on}`;
  const memory = cost?.memory_mb == null ? "–" : formatMegabytes(cost.memory_mb);
  row.append(name, make("td", "cv-number cv-cell-count", count === null ? "–" : String(count)), accuracy, latency, make("td", "cv-number", memory));
  return row;
}

/** @param {Cost | null} cost */
function latencyLines(cost) {
  if (cost?.latency_ms == null) return [make("span", "", "–")];
  const range = cost.low_ms != null && cost.high_ms != null ? `${formatMs(cost.low_ms)} – ${formatMs(cost.high_ms)}` : "";
  const runs = cost.runs > 1 ? `${cost.runs} runs` : "";
  const parts = cost.parts.map(({ name, ms }) => `${name} ${formatMs(ms)}`.replaceAll(" ", NO_BREAK)).join(" · ");
  const small = [[range, runs].filter(Boolean).join(", "), parts].filter(Boolean);
  return [make("strong", "", formatMs(cost.latency_ms)), ...small.map((text) => make("small", "", text))];
}
