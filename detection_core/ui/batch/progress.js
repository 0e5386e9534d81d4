// The progress of detection in a batch.

import { setAttribute, setText, show } from "../components/js/dom.js";

/** @param {Refs} ui @param {import("./state.js").BatchState} state */
export function drawProgress(ui, { queue, status }) {
  const running = queue.isRunning();
  show(ui.working, running);
  ui.root.setAttribute("aria-busy", String(running));
  if (!running) return;
  const { finished, left, seconds } = queue.progress();
  const total = finished + left;
  const preparing = status?.stage === "download" || status?.stage === "load" ? status : null;
  setText(ui.statusText, preparing ? preparing.text : `${finished} of ${total} processed${timeLeft((seconds / finished) * left, finished)}`);
  const share = preparing?.total ? (preparing.done ?? 0) / preparing.total : finished / Math.max(total, 1);
  ui.progress.style.setProperty("--share", share);
  setAttribute(ui.progress, "aria-valuenow", Math.round(100 * share));
}

/** @param {number} seconds @param {number} finished images, which the estimate rests on */
export function timeLeft(seconds, finished) {
  if (finished < 3) return "";
  return seconds >= 90 ? `, about ${Math.round(seconds / 60)} min left` : `, about ${Math.max(1, Math.round(seconds))} s left`;
}
