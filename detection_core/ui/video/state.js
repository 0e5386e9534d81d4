// The state of a VideoView: the video, the work in progress, its outcome, and the visitor's settings.

/** Settings that the annotated video is drawn with, besides the layers. */
const DRAWN = ["threshold", "track", "hidden_classes", "opacity", "keypoint_threshold"];

/** @typedef {VideoOutcome & { settings: VideoSettings }} Outcome with the settings that the video was drawn with */

export class VideoState {
  /** @param {{ layers: Layer[], style: Style, defaultRate: string }} constants */
  constructor({ layers, style, defaultRate }) {
    this.drawn = [...DRAWN, ...layers.map(({ name }) => name)];
    /** @type {VideoSettings} */
    this.settings = Object.assign({ rate: defaultRate, track: true, threshold: 0.5, hidden_classes: [] }, style);
    /** @type {VideoModel | null} */
    this.model = null;
    /** @type {VideoSource | null} */
    this.source = null;
    /** On its way to the server. @type {{ share: number, stop: () => void } | null} */
    this.sending = null;
    /** @type {{ kind: string, video: string, answer: VideoProgress | null, stopping?: boolean } | null} */
    this.work = null;
    /** @type {Outcome | null} */
    this.outcome = null;
    /** Which version is seen: "original" or "annotated". */
    this.shown = "original";
    /** @type {string[]} */
    this.notes = [];
    this.time = 0;
    /** What the server has been asked for: "example", "detect", "draw" or "". */
    this.waits = "";
    /** The settings at that time. @type {any} */
    this.asked = null;
    /** @type {ViewError | null} */
    this.error = null;
    /** Of messages that have come. @type {Set<string>} */
    this.turns = new Set();
    /** @type {any} */
    this.follower = null;
    /** The functions of the view that is on the page now. @type {VideoHandlers} */
    this.handlers = { progressed() {}, ended() {}, error() {} };
  }

  /** Gradio sends an event's last message twice. @param {{ turn: string }} message */
  isNew({ turn }) {
    return !this.turns.has(turn) && Boolean(this.turns.add(turn));
  }

  /** What the visitor wants, as Python reads it. */
  order() {
    const { path = "", name = "" } = this.source ?? {};
    return { ...this.settings, video: this.outcome?.video ?? "", path, name };
  }

  /** "detect", "draw", or "" if the video is as the settings say. */
  wanted() {
    const { outcome, settings, model } = this;
    if (!outcome || outcome.model !== model?.key || outcome.settings.rate !== settings.rate) return "detect";
    return this.drawn.every((name) => isSame(outcome.settings[name], settings[name])) ? "" : "draw";
  }

  /** The classes that are switched on. */
  shownClasses() {
    return (this.outcome?.classes ?? []).filter(({ name }) => !this.settings.hidden_classes.includes(name));
  }
}

/** @param {any} a @param {any} b */
function isSame(a, b) {
  if (Array.isArray(a)) return a.length === b.length && a.every((item) => b.includes(item));
  return typeof a === "number" ? Math.abs(a - b) < 0.004 : a === b;
}
