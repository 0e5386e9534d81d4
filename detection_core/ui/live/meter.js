// How live it is: detections a second, the time from camera to overlay, and where that time goes, all over the last seconds.

import { formatMs, make, setText } from "../components/js/dom.js";

const METER_WINDOW_MS = 5000;
// In the order in which they happen; keys are those of `partsOf`.
const METER_PARTS = [
  ["encode", "take and pack"],
  ["way", "send and wait"],
  ["model", "model"],
  ["results", "results"],
  ["draw", "draw"],
];

/**
 * Where the time of one answer went, in ms: `frame` as queue.js passes it, `drawn` when it was on screen.
 * @param {{ ms: LiveTimes }} result
 * @param {{ time: number, sent: number, received: number }} frame
 * @param {number} drawn
 * @returns {Record<string, number>}
 */
export function partsOf({ ms }, { time, sent, received }, drawn) {
  const results = ms.post + ms.track;
  return { encode: sent - time, way: Math.max(0, received - sent - ms.network - results), model: ms.network, results, draw: drawn - received };
}

/** @param {Refs} ui elements by name: meterRate, meterMiddle, meterHigh, meterBar, meterParts */
export function createMeter(ui) {
  /** @type {{ at: number, latency: number, parts: Record<string, number> }[]} */
  let samples = [];
  const rows = METER_PARTS.map(([key, name]) => {
    const slice = make("span", `lv-slice lv-part-${key}`);
    const row = make("li");
    const value = make("span", "lv-part-value");
    row.append(make("span", `lv-dot lv-part-${key}`), make("span", "", name), value);
    ui.meterBar.append(slice);
    ui.meterParts.append(row);
    return { key, slice, value };
  });

  return {
    clear: () => { samples = []; },
    /** @param {number} at @param {number} latency @param {Record<string, number>} parts */
    add: (at, latency, parts) => samples.push({ at, latency, parts }),
    /** @param {number} now */
    draw(now) {
      samples = samples.filter(({ at }) => now - at <= METER_WINDOW_MS);
      const latencies = samples.map(({ latency }) => latency).sort((a, b) => a - b);
      const seconds = samples.length > 1 ? (samples[samples.length - 1].at - samples[0].at) / 1000 : 0;
      setText(ui.meterRate, seconds ? ((samples.length - 1) / seconds).toFixed(1) : "–");
      setText(ui.meterMiddle, latencies.length ? formatMs(quantile(latencies, 0.5)) : "–");
      setText(ui.meterHigh, latencies.length ? formatMs(quantile(latencies, 0.95)) : "–");
      for (const { key, slice, value } of rows) {
        const mean = samples.reduce((sum, { parts }) => sum + parts[key], 0) / (samples.length || 1);
        slice.style.flexGrow = String(mean);
        setText(value, samples.length ? formatMs(mean) : "–");
      }
    },
  };
}

/** Of sorted numbers, by the nearest rank. @param {number[]} sorted @param {number} share */
export function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
