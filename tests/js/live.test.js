// When frames are sent, what is shown of answers between frames, and how live that is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cameraName, explainCamera } from "../../detection_core/ui/live/camera.js";
import { partsOf, quantile } from "../../detection_core/ui/live/meter.js";
import { createMotion } from "../../detection_core/ui/live/motion.js";
import { createPace } from "../../detection_core/ui/live/pace.js";

/** An answer of a model that takes 100 ms, with `way` ms to the server and back. */
const answer = (sent, { way = 10, wait = 0, room = true } = {}) => ({ ms: { decode: 0, wait, network: 95, post: 5, track: 0 }, room, sent, received: sent + 100 + way + wait });

test("one frame is in flight until a round trip is known to be long", () => {
  const pace = createPace();
  assert.equal(pace.limit(), 1);
  pace.answered(answer(0));
  assert.equal(pace.limit(), 1);
  pace.answered(answer(200, { way: 2000 }));
  assert.equal(pace.limit(), 2);
});

test("a server without room gets one frame at a time", () => {
  const pace = createPace();
  pace.answered(answer(0, { way: 500, room: false }));
  assert.equal(pace.limit(), 1);
});

test("another frame is due when the model has finished the one before", () => {
  const pace = createPace();
  pace.answered(answer(0));
  pace.sent(1000);
  assert.ok(Math.abs(pace.due() - 1100) < 60);
});

test("frames that waited are followed by later ones", () => {
  const [patient, hasty] = [createPace(), createPace()];
  patient.answered(answer(0, { wait: 3 }));
  hasty.answered(answer(0, { wait: 40 }));
  for (const pace of [patient, hasty]) pace.sent(1000);
  assert.ok(hasty.due() > patient.due());
});

test("a reset forgets what was learned", () => {
  const pace = createPace();
  pace.answered(answer(0, { way: 500 }));
  pace.reset();
  assert.equal(pace.limit(), 1);
});

test("objects move on as fast as the tracker saw them, but not for long", () => {
  const moved = [];
  const motion = createMotion((...move) => moved.push(move));
  motion.follow([{ velocity: [0, 0] }, { velocity: [100, -50] }], 1000);
  motion.step(1200);
  motion.step(9000);
  motion.step(500);
  assert.deepEqual(moved, [[1, 20, -10], [1, 40, -20], [1, 0, -0]]);
});

test("the parts of a frame's time add up", () => {
  const parts = partsOf({ ms: { decode: 1, wait: 2, network: 90, post: 5, track: 1 } }, { time: 0, sent: 10, received: 130 }, 135);
  assert.deepEqual(parts, { encode: 10, way: 24, model: 90, results: 6, draw: 5 });
  assert.equal(Object.values(parts).reduce((sum, ms) => sum + ms), 135);
});

test("quantiles are by the nearest rank", () => {
  const sorted = [1, 2, 3, 4];
  assert.deepEqual([quantile(sorted, 0), quantile(sorted, 0.5), quantile(sorted, 1)], [1, 3, 4]);
});

test("cameras have names for people", () => {
  assert.equal(cameraName("camera2 1, facing front", 1), "Front camera 1");
  assert.equal(cameraName("HD Webcam (046d:0825)", 1), "HD Webcam");
  assert.equal(cameraName("", 2), "Camera 2");
});

test("what is wrong with a camera is explained", () => {
  globalThis.window = globalThis;
  const explain = (name, message = "") => explainCamera(Object.assign(new Error(message), { name })).title;
  globalThis.self = globalThis.top = globalThis;
  assert.equal(explain("NotAllowedError"), "The camera is not allowed");
  assert.equal(explain("NotAllowedError", "Permission denied by system"), "The system does not let this browser use the camera");
  assert.equal(explain("Other", "Odd"), "The camera cannot be used");
});
