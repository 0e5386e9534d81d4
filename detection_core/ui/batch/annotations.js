// The annotation file whose ids the COCO files of a batch get: chosen in the export menu, and uploaded at once.

import { writeError } from "../components/js/feedback.js";

/**
 * @param {Refs} ui `annotationInput` is the input for the file
 * @param {import("./state.js").BatchState} state
 * @param {Mounting["upload"]} upload
 * @param {string[]} keys the formats that have ids
 * @param {() => void} onChange
 * @returns {import("../components/js/export_menu.js").Extra}
 */
export function createAnnotationChoice(ui, state, upload, keys, onChange) {
  /** @type {HTMLInputElement} */
  const input = ui.annotationInput;

  function toggle() {
    if (!state.annotations) return input.click();
    state.annotations = null;
    onChange();
  }

  input.addEventListener("change", async () => {
    const file = input.files?.[0];
    if (!file) return;
    try {
      state.annotations = { path: (await upload(file)).path, name: file.name };
      writeError(ui, null);
    } catch {
      writeError(ui, { title: "The annotation file is not on the server", text: "The upload failed. Choose the file again." });
    }
    // Choosing the same file again is to be noticed.
    input.value = "";
    onChange();
  });

  function look() {
    const file = state.annotations;
    if (file) return { title: `Ids of ${file.name}`, description: "Images get its ids by file name, and classes by name", ticked: true };
    return { title: "Ids of an annotation file …", description: "Without: the numbers that file names are, or 1, 2, 3 …", ticked: false };
  }

  return { keys, look, toggle };
}
