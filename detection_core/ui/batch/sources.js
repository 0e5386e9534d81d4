// Where a batch's images come from: chosen files, a folder, a drop, and the server's examples.

import { chosenFiles, droppedFiles, fetchFile } from "../components/js/chosen_files.js";
import { createDropZone } from "../components/js/drop_zone.js";
import { writeError } from "../components/js/feedback.js";

/**
 * @param {Refs} ui
 * @param {(files: ChosenFile[]) => void} add
 * @param {() => void} askForExamples they come as a message, which `takeExamples` gets
 */
export function createSources(ui, add, askForExamples) {
  let wantsExamples = false;

  /** @param {HTMLInputElement} input */
  function takeFrom(input) {
    const files = chosenFiles(input);
    // Choosing the same file again is to be noticed.
    input.value = "";
    add(files);
  }

  /** @param {FileData[]} examples */
  async function takeExamples(examples) {
    // Gradio sends an event's last message twice.
    if (!wantsExamples) return;
    wantsExamples = false;
    const files = await Promise.all(examples.map(fetchFile)).catch(() => null);
    if (files) add(files);
    else writeError(ui, { title: "The examples did not arrive", text: "The server could not be reached. Try again." });
  }

  for (const button of [ui.chooseImages, ui.addImages]) button.addEventListener("click", () => ui.imageInput.click());
  for (const button of [ui.chooseFolder, ui.addFolder]) button.addEventListener("click", () => ui.folderInput.click());
  for (const input of [ui.imageInput, ui.folderInput]) input.addEventListener("change", () => takeFrom(input));
  ui.examples.addEventListener("click", () => {
    wantsExamples = true;
    askForExamples();
  });
  createDropZone(ui.root, async (transfer) => add(await droppedFiles(transfer)));
  return { takeExamples };
}
