// A new video: it is sent, its header is read, and the time that the model takes for a frame is requested. State outlives the view that began.

import { sendVideo } from "./upload.js";
import { fileSize } from "./words.js";

/**
 * @param {import("./state.js").VideoState} state
 * @param {Pick<Mounting, "server" | "upload">} gradio
 * @param {number} mostBytes of a file
 */
export function createArrival(state, { server, upload }, mostBytes) {
  /** @param {File | undefined} file */
  function take(file) {
    if (!file) return;
    const tooLarge = file.size > mostBytes;
    state.handlers.error(tooLarge ? { title: "This video is too large", text: `It has ${fileSize(file.size)}; at most ${fileSize(mostBytes)} are allowed. Cut it or compress it first.` } : null);
    if (tooLarge) return;
    const source = setSource({ name: file.name, size: file.size, url: URL.createObjectURL(file), path: "" });
    const sending = sendVideo(file, upload, (share) => {
      if (state.sending) state.sending.share = share;
      state.handlers.progressed();
    });
    state.sending = { share: 0, stop: sending.stop };
    state.handlers.progressed();
    sending.done.then((path) => arrived(source, path), ({ message }) => lost(source, "The video could not be sent", message));
  }

  /** @param {FileData} file */
  function takeExample({ path, url }) {
    state.waits = "";
    if (state.source?.path === path) return;
    arrived(setSource({ name: "Sliding images", size: 0, url, path: "" }), path);
  }

  /**
   * Puts a video in place of the last one and everything that came of it.
   * @param {Pick<VideoSource, "name" | "size" | "url" | "path">} found
   */
  function setSource(found) {
    state.sending?.stop();
    state.follower.drop();
    if (state.source?.url.startsWith("blob:")) URL.revokeObjectURL(state.source.url);
    const source = { facts: null, pace: null, ...found };
    Object.assign(state, { source, sending: null, work: null, outcome: null, shown: "original", notes: [], time: 0, waits: "" });
    // The visitor should not miss a class because it was hidden for another video.
    state.settings.hidden_classes = [];
    return /** @type {VideoSource} */ (source);
  }

  /** @param {VideoSource} source @param {string} path */
  async function arrived(source, path) {
    if (state.source !== source) return;
    source.path = path;
    state.sending = null;
    state.handlers.progressed();
    const answer = await server.inspect({ path }).catch(() => null);
    if (state.source !== source) return;
    if (!answer?.facts) return lost(source, "This video cannot be used", answer?.error ?? "The server does not answer. Choose the video again.");
    source.facts = answer.facts;
    state.notes = answer.facts.notes;
    state.handlers.progressed();
    measurePace();
  }

  /** @param {VideoSource} source @param {string} title @param {string} text */
  function lost(source, title, text) {
    if (state.source !== source) return;
    setSource({ name: "", size: 0, url: "", path: "" });
    state.source = null;
    if (text) state.handlers.error({ title, text });
    state.handlers.progressed();
  }

  /** Asks how long the model takes for a frame; an unknown time is not shown. */
  async function measurePace() {
    const { source, model } = state;
    if (!source?.facts || !model || source.pace?.key === model.key || state.work) return;
    /** @type {VideoSource["pace"]} */
    const pace = { key: model.key, seconds: null };
    source.pace = pace;
    const answer = await server.pace({ path: source.path, model: model.key }).catch(() => null);
    pace.seconds = answer?.seconds ?? 0;
    state.handlers.progressed();
  }

  return { take, takeExample, measurePace };
}
