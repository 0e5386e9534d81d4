// The left and right keys go from object to object in an image that is shown whole; in a zoomed one they pan.

/**
 * @template Item
 * @typedef {object} ObjectKeys
 * @property {() => Item[]} shown all objects that are drawn, in their order
 * @property {() => Item | undefined} current the one that is chosen
 * @property {(item: Item, place: string) => void} choose called with the next one and its place, such as "2 of 5"
 */

/**
 * @template Item
 * @param {EventTarget} frame has the focus
 * @param {{ camera: () => { zoom: number } }} viewport
 * @param {ObjectKeys<Item>} keys
 */
export function listenForObjectKeys(frame, viewport, { shown, current, choose }) {
  frame.addEventListener("keydown", (event) => {
    const { key, target, altKey, ctrlKey, metaKey } = /** @type {KeyboardEvent} */ (event);
    const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
    // With Alt, the browser goes back.
    if (altKey || ctrlKey || metaKey) return;
    if (!step || target !== frame || viewport.camera().zoom > 1) return;
    const items = shown();
    if (!items.length) return;
    event.preventDefault();
    const chosen = current();
    const at = chosen === undefined ? -1 : items.indexOf(chosen);
    const next = at < 0 && step < 0 ? items.length - 1 : (at + step + items.length) % items.length;
    choose(items[next], `${next + 1} of ${items.length}`);
  });
}
