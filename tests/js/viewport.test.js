// Zoom and pan: what is under the pointer stays there, and the image stays in its frame.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { createViewport } from "../../detection_core/ui/components/js/viewport.js";

class Frame extends EventTarget {
  clientWidth = 400;
  clientHeight = 200;
  classList = { toggle() {} };
  closest = () => null;
  getBoundingClientRect = () => ({ left: 100, top: 50 });
  setPointerCapture() {}
  hasPointerCapture = () => false;
}
globalThis.ResizeObserver = class { observe() {} };

let frame;
let camera;
let viewport;
let taps;
beforeEach(() => {
  frame = new Frame();
  taps = [];
  viewport = createViewport(frame, (now) => { camera = now; }, (point) => taps.push(point));
  viewport.measure();
  viewport.setImage(800, 800);
});

function send(type, properties) {
  frame.dispatchEvent(Object.assign(new Event(type, { cancelable: true }), { button: 0, pointerId: 1, ...properties }));
}

test("an image is fitted into the middle of its frame", () => {
  assert.deepEqual(camera, { scale: 0.25, x: 100, y: 0, zoom: 1 });
});

test("points go to the image and back", () => {
  viewport.zoomIn();
  const [x, y] = viewport.toImage([120, 80]);
  const back = viewport.toFrame([x, y, x, y]);
  assert.ok(Math.abs(back[0] - 120) < 1e-9 && Math.abs(back[1] - 80) < 1e-9);
});

test("a wheel zooms around the pointer, with Ctrl only", () => {
  const before = viewport.toImage([200, 100]);
  send("wheel", { clientX: 300, clientY: 150, deltaY: -100 });
  assert.equal(camera.zoom, 1);
  send("wheel", { clientX: 300, clientY: 150, deltaY: -100, ctrlKey: true });
  assert.ok(camera.zoom > 1.5);
  assert.deepEqual(viewport.toImage([200, 100]).map(Math.round), before.map(Math.round));
});

test("zoom has its bounds", () => {
  for (let i = 0; i < 20; i++) viewport.zoomIn();
  assert.equal(camera.zoom, 16);
  for (let i = 0; i < 20; i++) viewport.zoomOut();
  assert.deepEqual(camera, { scale: 0.25, x: 100, y: 0, zoom: 1 });
});

test("dragging moves a zoomed image, not out of its frame, and is no tap", () => {
  viewport.moveTo({ zoom: 4, center: [400, 400] });
  const { x } = camera;
  send("pointerdown", { clientX: 200, clientY: 100 });
  send("pointermove", { clientX: 230, clientY: 100 });
  assert.equal(camera.x, x + 30);
  send("pointermove", { clientX: 5000, clientY: 100 });
  send("pointerup", {});
  send("click", { clientX: 200, clientY: 100 });
  assert.deepEqual([camera.x, taps], [0, []]);
});

test("a click without a drag is a tap in the frame", () => {
  send("pointerdown", { clientX: 200, clientY: 100 });
  send("pointerup", {});
  send("click", { clientX: 200, clientY: 100 });
  assert.deepEqual(taps, [[100, 50]]);
});

test("two fingers zoom", () => {
  send("pointerdown", { pointerId: 1, clientX: 250, clientY: 150 });
  send("pointerdown", { pointerId: 2, clientX: 350, clientY: 150 });
  send("pointermove", { pointerId: 2, clientX: 450, clientY: 150 });
  assert.equal(camera.zoom, 2);
});

test("another viewport's position is taken over", () => {
  viewport.moveTo({ zoom: 4, center: [300, 500] });
  assert.deepEqual(viewport.toImage([200, 100]), [300, 500]);
  assert.equal(camera.scale, 1);
});

test("keys zoom and pan", () => {
  send("keydown", { key: "ArrowLeft" });
  assert.equal(camera.zoom, 1);
  send("keydown", { key: "+" });
  assert.equal(camera.zoom, 1.5);
  const { y } = camera;
  send("keydown", { key: "ArrowUp" });
  assert.equal(camera.y, Math.min(y + 48, 0));
  send("keydown", { key: "0" });
  assert.equal(camera.zoom, 1);
});
