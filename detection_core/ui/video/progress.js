// The work on a video in words: the time that it will take, its progress, and its outcome.

import { clamp, counted, setText, show } from "../components/js/dom.js";
import { writeShare } from "../components/js/feedback.js";
import { seriesEnd } from "./series.js";
import { clockTime, fileSize, framesAt, roughly } from "./words.js";

/** @typedef {import("./state.js").VideoState} VideoState */
/** @typedef {{ text: string, share: number | null }} Progress `share` 0–1, or null if it is not known */

/**
 * What stands beside the button that begins the work.
 * @param {string} kind of work that is wanted, as `VideoState.wanted` has it
 * @param {VideoState} state with the facts of a video
 * @param {number} longest the most seconds of a video that are processed
 */
export function wordsFor(kind, { source, settings, outcome }, longest) {
  if (!source?.facts) return "";
  if (kind === "draw") return "The settings have changed. Drawing again is quick: the model is not needed.";
  if (kind === "detect" || !outcome) return estimate(framesAt(source.facts, settings.rate, longest), settings.rate, source.facts, source.pace);
  const text = `${counted(outcome.frames, "frame")} processed in ${roughly(outcome.seconds)}.`;
  return outcome.complete ? text : `${text} It ended early: ${clockTime(seriesEnd(outcome.times), true)} of ${clockTime(source.facts.seconds, true)} are annotated.`;
}

/**
 * "80 frames at 10 a second, about 12 s here".
 * @param {number} frames
 * @param {string} rate
 * @param {VideoFacts} facts
 * @param {VideoSource["pace"]} pace
 */
function estimate(frames, rate, facts, pace) {
  const much = rate === "all" || Number(rate) >= facts.fps ? counted(frames, "frame") : `${counted(frames, "frame")} at ${rate} a second`;
  if (!pace || pace.seconds === null) return `${much}. Measuring how long that takes here.`;
  return pace.seconds ? `${much}, about ${roughly(frames * pace.seconds)} here.` : `${much}.`;
}

/** Shows what is going on now. @param {Refs} ui @param {VideoState} state */
export function drawWorking(ui, state) {
  const { source, sending, work, waits } = state;
  const isReading = Boolean(source && !sending && !source.facts);
  const isBusy = Boolean(sending || work || isReading);
  show(ui.working, isBusy);
  ui.root.setAttribute("aria-busy", String(isBusy || Boolean(waits)));
  if (!isBusy) return;
  const { text, share } = progressOf(state);
  setText(ui.statusText, text);
  writeShare(ui, share);
  show(ui.cancel, !isReading);
  ui.cancel.disabled = Boolean(work?.stopping);
}

/** How far what is going on now is. @param {VideoState} state @returns {Progress} */
export function progressOf({ sending, work, source, model }) {
  if (sending) return { text: `Sending ${fileSize(sending.share * (source?.size ?? 0))} of ${fileSize(source?.size ?? 0)}`, share: sending.share };
  return work ? workingNow(work, model?.title ?? "The model") : { text: "Reading the file", share: null };
}

/** @param {NonNullable<VideoState["work"]>} work @param {string} title the model's @returns {Progress} */
function workingNow({ kind, answer, stopping }, title) {
  if (stopping) return { text: "Ending after this frame", share: null };
  if (!answer) return { text: kind === "draw" ? "Drawing again" : "Beginning", share: null };
  if (answer.stage === "waiting") return { text: answer.ahead === 1 ? "1 video is ahead of yours" : `${answer.ahead} videos are ahead of yours`, share: null };
  const { status, progress } = answer;
  if (status) return { text: status.text, share: status.total ? clamp((status.done ?? 0) / status.total, 0, 1) : null };
  if (!progress) return { text: kind === "draw" ? "Drawing again" : `${title} is starting`, share: null };
  const { done, total, fps, left } = progress;
  const pace = fps > 0 ? ` · ${fps >= 10 ? Math.round(fps) : fps.toFixed(1)} frames/s` : "";
  const rest = left !== null && done < total ? ` · about ${roughly(left)} left` : "";
  return { text: `${kind === "draw" ? "Drawn" : "Processed"} ${done.toLocaleString("en")} of ${counted(total, "frame")}${pace}${rest}`, share: done / total };
}
