// A view onto which files are dropped.

/**
 * `onDrop(transfer)` gets what was dropped; it must be read while the event is being handled.
 * @param {HTMLElement} root
 * @param {(transfer: DataTransfer) => void} onDrop
 */
export function createDropZone(root, onDrop) {
  root.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    root.classList.add("dv-dropping");
  });
  root.addEventListener("dragleave", (event) => {
    if (!root.contains(/** @type {Node | null} */ (event.relatedTarget))) root.classList.remove("dv-dropping");
  });
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    root.classList.remove("dv-dropping");
    if (event.dataTransfer) onDrop(event.dataTransfer);
  });
}
