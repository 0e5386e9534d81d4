// A video in words and numbers: times, counts over time, and what is to be done when settings change.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inTotal } from "../../detection_core/ui/video/counts.js";
import { progressOf, wordsFor } from "../../detection_core/ui/video/progress.js";
import { countTicks, frameAt, seenAt, seriesEnd, seriesLines, steps, timeTicks } from "../../detection_core/ui/video/series.js";
import { VideoState } from "../../detection_core/ui/video/state.js";
import { clockTime, factsInWords, fileSize, framesAt, roughly } from "../../detection_core/ui/video/words.js";

const FACTS = { width: 640, height: 360, seconds: 8, fps: 25, frames: 200, sound: true, poster: "", notes: [] };
const line = (name, counts, total = null) => ({ name, plural: `${name}s`, color: "#f00", counts, total });

function state() {
  const fresh = new VideoState({ layers: [{ name: "boxes", title: "Boxes" }], style: { boxes: true, opacity: 0.4, keypoint_threshold: 2 }, defaultRate: "10" });
  fresh.model = { key: "ssd", title: "SSD" };
  fresh.source = { name: "a.mp4", size: 2e6, url: "", path: "/a.mp4", facts: FACTS, pace: null };
  return fresh;
}

test("times, sizes and durations for people", () => {
  assert.deepEqual([clockTime(3), clockTime(750), clockTime(3723), clockTime(3.24, true)], ["0:03", "12:30", "1:02:03", "0:03.2"]);
  assert.deepEqual([fileSize(900), fileSize(2.5e6), fileSize(1.5e9)], ["1 kB", "2.5 MB", "1.5 GB"]);
  assert.deepEqual([roughly(0.2), roughly(89), roughly(120), roughly(4800)], ["1 s", "89 s", "2 min", "80 min"]);
  assert.equal(factsInWords(FACTS), "640×360 · 0:08 · 25 frames/s · with sound");
});

test("a rate says how many frames are processed", () => {
  assert.deepEqual([framesAt(FACTS, "all", 60), framesAt(FACTS, "10", 60), framesAt(FACTS, "50", 60), framesAt(FACTS, "10", 4)], [200, 80, 200, 40]);
});

test("the frame at a time is the last that has begun", () => {
  const times = [0, 0.1, 0.2];
  assert.deepEqual([frameAt(times, -1), frameAt(times, 0.1), frameAt(times, 0.15), frameAt(times, 9)], [0, 1, 1, 2]);
  assert.equal(seriesEnd(times).toFixed(3), "0.300");
  assert.equal(seriesEnd([]), 0.04);
});

test("rare classes share the last line", () => {
  const lines = seriesLines(Array.from({ length: 8 }, (_, i) => line(`k${i}`, [1, 2], 3)));
  assert.deepEqual([lines.length, lines[5].name, lines[5].counts, lines[5].total], [6, "3 more kinds", [3, 6], 9]);
  assert.equal(seenAt([line("dog", [0, 2])], 1), "2 dogs");
  assert.equal(seenAt([line("dog", [0, 2])], 0), "nothing");
});

test("a line steps where its count changes, and keeps the highest of a pixel", () => {
  assert.deepEqual(steps([0, 1, 2, 3], [1, 1, 2, 1], 0.5), [[0, 1], [2, 2], [3, 1]]);
  assert.deepEqual(steps([0, 0.1, 0.2, 3], [1, 5, 2, 1], 1), [[0, 5], [3, 1]]);
});

test("axes have few round ticks", () => {
  assert.deepEqual([countTicks(3), countTicks(9), countTicks(0)], [[0, 1, 2, 3], [0, 5, 10], [0, 1]]);
  assert.deepEqual(timeTicks(8, 5), [0, 2, 4, 6, 8]);
});

test("totals in words", () => {
  assert.equal(inTotal([line("person", [1, 2], 3), line("dog", [1, 0], 1)], true), "3 persons, 1 dog in all");
  assert.equal(inTotal([line("person", [1, 2])], false), "2 persons at most at a time");
  assert.equal(inTotal([], true), "nothing found");
});

test("changed settings want drawing, another rate or model wants the model", () => {
  const video = state();
  assert.equal(video.wanted(), "detect");
  video.outcome = { model: "ssd", settings: { ...video.settings }, classes: [line("dog", [1])] };
  assert.equal(video.wanted(), "");
  video.settings.threshold += 0.001;
  assert.equal(video.wanted(), "");
  video.settings.hidden_classes = ["dog"];
  assert.deepEqual([video.wanted(), video.shownClasses()], ["draw", []]);
  video.settings.rate = "5";
  assert.equal(video.wanted(), "detect");
});

test("a message counts once", () => {
  const video = state();
  assert.deepEqual([video.isNew({ turn: "a" }), video.isNew({ turn: "a" }), video.isNew({ turn: "b" })], [true, false, true]);
});

test("an order has the settings, the file and the video", () => {
  assert.deepEqual(Object.keys(state().order()).filter((key) => ["rate", "video", "path", "name"].includes(key)), ["rate", "video", "path", "name"]);
});

test("what it will take is said as far as it is known", () => {
  const video = state();
  assert.equal(wordsFor("detect", video, 60), "80 frames at 10 a second. Measuring how long that takes here.");
  video.source.pace = { key: "ssd", seconds: 0.15 };
  assert.equal(wordsFor("detect", video, 60), "80 frames at 10 a second, about 12 s here.");
});

test("progress names what is waited for", () => {
  const video = state();
  video.sending = { share: 0.5, stop() {} };
  assert.deepEqual(progressOf(video), { text: "Sending 1 MB of 2 MB", share: 0.5 });
  video.sending = null;
  video.work = { kind: "detect", video: "v", answer: { stage: "waiting", ahead: 2 } };
  assert.equal(progressOf(video).text, "2 videos are ahead of yours");
  video.work.answer = { stage: "running", status: null, progress: { done: 10, total: 80, fps: 5, left: 14 } };
  assert.deepEqual(progressOf(video), { text: "Processed 10 of 80 frames · 5.0 frames/s · about 14 s left", share: 0.125 });
});
