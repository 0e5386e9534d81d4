// The left and right keys choose the next object, around the end and back; in a zoomed image they are left alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { listenForObjectKeys } from "../../detection_core/ui/components/js/object_keys.js";

/** What is chosen after keys, in an image with these objects. */
function press({ items, chosen, zoom = 1 }, ...keys) {
  const frame = new EventTarget();
  const places = [];
  let taken = 0;
  const choose = (item, place) => {
    chosen = item;
    places.push(place);
  };
  listenForObjectKeys(frame, { camera: () => ({ zoom }) }, { shown: () => items, current: () => chosen, choose });
  for (const key of keys) {
    const event = Object.assign(new Event("keydown", { cancelable: true }), { key: key.replace("Alt+", ""), altKey: key.startsWith("Alt+") });
    frame.dispatchEvent(event);
    taken += Number(event.defaultPrevented);
  }
  return { chosen, places, taken };
}

for (const [name, given, keys, expected] of [
  ["the first, then the second", { items: ["cat", "dog", "cup"] }, ["ArrowRight", "ArrowRight"], { chosen: "dog", places: ["1 of 3", "2 of 3"], taken: 2 }],
  ["the last, backwards from none", { items: ["cat", "dog", "cup"] }, ["ArrowLeft"], { chosen: "cup", places: ["3 of 3"], taken: 1 }],
  ["around the end", { items: ["cat", "dog"], chosen: "dog" }, ["ArrowRight"], { chosen: "cat", places: ["1 of 2"], taken: 1 }],
  ["around the start", { items: ["cat", "dog"], chosen: "cat" }, ["ArrowLeft"], { chosen: "dog", places: ["2 of 2"], taken: 1 }],
  ["the first, from one that is hidden now", { items: ["cat", "dog"], chosen: "cup" }, ["ArrowRight"], { chosen: "cat", places: ["1 of 2"], taken: 1 }],
  ["nothing where there is nothing", { items: [] }, ["ArrowRight"], { chosen: undefined, places: [], taken: 0 }],
  ["nothing by other keys", { items: ["cat"] }, ["ArrowDown", "a", "Alt+ArrowLeft"], { chosen: undefined, places: [], taken: 0 }],
  ["nothing in a zoomed image", { items: ["cat"], zoom: 2 }, ["ArrowRight"], { chosen: undefined, places: [], taken: 0 }],
]) {
  test(`keys choose ${name}`, () => assert.deepEqual(press(given, ...keys), expected));
}
