// DataView in the browser: takes an archive, a folder or results files, sends them to the server, and says what the data is.

import { chosenFiles, droppedFiles } from "../components/js/chosen_files.js";
import { collectRefs, counted, make, makeButton, setAttribute, setText, show } from "../components/js/dom.js";
import { createDropZone } from "../components/js/drop_zone.js";
import { showLines, writeError } from "../components/js/feedback.js";
import { viewIdOf } from "../components/js/kept.js";

/** @typedef {{ path: string, name: string }} Sent */
/** @typedef {{ facts: DataFacts | null, files: Sent[], results: Sent[], notes: string[], busy: string }} DataState */

/** What each view has, for when Gradio builds its component anew. @type {Map<string, DataState>} */
const kept = new Map();

/** @param {Mounting} mounting */
export function mount({ element, props, trigger, upload, watch, constants }) {
  const ui = collectRefs(element);
  const viewId = viewIdOf(props);
  /** @type {DataState} */
  const state = kept.get(viewId) ?? { facts: null, files: [], results: [], notes: [], busy: "" };
  kept.set(viewId, state);

  function receive() {
    const message = props.value;
    const isOurOwn = !message || message.notes === undefined;
    if (isOurOwn) return;
    state.busy = "";
    writeError(ui, message.error);
    if (message.facts) Object.assign(state, { facts: message.facts, notes: message.notes });
    draw();
    commit();
  }

  function commit() {
    props.value = { order: { evaluation: state.facts?.evaluation ?? "", results: state.results }, view: viewId };
  }

  function draw() {
    const { facts, busy } = state;
    setText(ui.facts, busy || wordsOf(facts));
    setAttribute(ui.sample, "aria-pressed", !facts || facts.is_sample);
    for (const control of [ui.sample, ui.archive, ui.folder, ui.part, ui.addResults, ui.skip]) control.disabled = Boolean(busy);
    show(ui.partBox, Boolean(facts?.parts.length));
    ui.part.replaceChildren(...(facts?.parts ?? []).map((name) => new Option(name, name, false, name === facts?.part)));
    showLines(ui.notes, state.notes);
    show(ui.faultBox, Boolean(facts?.fault_count));
    ui.faults.replaceChildren(...(facts?.faults ?? []).map((text) => make("li", "", text)));
    if (facts && facts.fault_count > facts.faults.length) ui.faults.append(make("li", "", `and ${counted(facts.fault_count - facts.faults.length, "more fault")}`));
    ui.results.replaceChildren(...state.results.map(resultRow));
  }

  /** @param {Sent} result */
  function resultRow(result) {
    const row = make("li");
    const remove = makeButton("", "Remove", () => {
      state.results = state.results.filter((other) => other !== result);
      draw();
      commit();
    });
    remove.setAttribute("aria-label", `Remove ${result.name}`);
    row.append(make("span", "", result.name), remove);
    return row;
  }

  /** Sends files one after the other; null if that fails. @param {ChosenFile[]} files @returns {Promise<Sent[] | null>} */
  async function send(files) {
    writeError(ui, null);
    /** @type {Sent[]} */
    const sent = [];
    try {
      for (const { file, name } of files) {
        state.busy = files.length > 1 ? `Sending file ${sent.length + 1} of ${files.length.toLocaleString("en")}` : `Sending ${name}`;
        draw();
        sent.push({ path: (await upload(file)).path, name });
      }
      return sent;
    } catch {
      state.busy = "";
      writeError(ui, { title: "The upload failed", text: "Is the file still there, and the server? The file may also be too large for the server." });
      draw();
      return null;
    }
  }

  /** @param {ChosenFile[]} files */
  async function load(files) {
    const wanted = files.filter(({ name }) => !name.includes("/.") && !name.startsWith("."));
    if (!wanted.length || state.busy) return;
    if (wanted.length > constants.most) return writeError(ui, { title: "The folder is too large", text: `It has more than ${constants.most.toLocaleString("en")} files. Pack it as a zip archive, or evaluate on a part of it.` });
    const sent = await send(wanted);
    if (!sent) return;
    state.files = sent;
    read("");
  }

  /** Reads a part of the data that has been sent; "" is the usual one. @param {string} part */
  function read(part) {
    state.busy = "Reading and checking the data";
    draw();
    trigger("read", { files: state.files, part });
  }

  /** @param {ChosenFile[]} files */
  async function addResults(files) {
    const sent = files.length ? await send(files.slice(0, 1)) : null;
    state.busy = "";
    if (sent) state.results = [...state.results.filter(({ name }) => name !== sent[0].name), ...sent];
    draw();
    commit();
  }

  /** @param {HTMLElement} button @param {HTMLInputElement} input @param {(files: ChosenFile[]) => void} onFiles */
  function connect(button, input, onFiles) {
    button.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      onFiles(chosenFiles(input));
      // Choosing the same file again is to be noticed.
      input.value = "";
    });
  }

  connect(ui.archive, ui.archiveInput, load);
  connect(ui.folder, ui.folderInput, load);
  connect(ui.addResults, ui.resultsInput, addResults);
  createDropZone(ui.root, (transfer) => droppedFiles(transfer).then(load));
  ui.part.addEventListener("change", () => read(ui.part.value));
  ui.sample.addEventListener("click", () => {
    state.busy = "Reading the sample";
    draw();
    trigger("read", { files: [] });
  });
  ui.skip.addEventListener("click", () => {
    state.busy = "Leaving faults out";
    draw();
    trigger("skip");
  });
  draw();
  receive();
  commit();
  watch("value", receive);
}

const listed = (/** @type {string[]} */ words) => words.join(", ").replace(/, ([^,]*)$/, " and $1");

/** @param {DataFacts | null} facts */
function wordsOf(facts) {
  if (!facts) return "The built-in sample: eight images with hand-drawn annotations. Too few to judge a model by.";
  const { name, images, objects, classes, tasks, fault_count } = facts;
  const size = `${name}: ${counted(images, "image")}, ${counted(objects, "object")}, ${classes.toLocaleString("en")} ${classes === 1 ? "class" : "classes"}, with ${listed(tasks)}.`;
  return fault_count ? `${size} The data has ${counted(fault_count, "fault")}:` : size;
}
