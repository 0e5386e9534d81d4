// The state of a BatchView: the images with their results, the model, and the visitor's settings; it outlives the view.

/** @typedef {{ changed: () => void, status: (status: ViewStatus | null) => void, ended: (problem: import("./queue.js").BatchProblem | null) => void }} Handlers */

export class BatchState {
  constructor() {
    /** @type {BatchImage[]} */
    this.images = [];
    /** @type {BatchStart | null} */
    this.start = null;
    this.threshold = 0.5;
    this.mode = "gallery";
    /** Of images that there have been. */
    this.number = 0;
    /** @type {string[]} */
    this.notes = [];
    /** The file whose ids COCO files get. @type {{ path: string, name: string } | null} */
    this.annotations = null;
    /** @type {ViewStatus | null} */
    this.status = null;
    /** The functions of the view that is on the page now. @type {Handlers} */
    this.handlers = { changed() {}, status() {}, ended() {} };
    /** @type {any} */
    this.queue = null;
  }

  /** Adds files that are none of the images yet. @param {ChosenFile[]} files */
  add(files) {
    for (const { file, name } of files) {
      this.images.push({ id: `image-${this.number++}`, file, name, path: "", state: "waiting", error: "", result: null, selected: true });
    }
  }

  /** @param {ChosenFile} found */
  has({ file, name }) {
    return this.images.some((image) => image.name === name && image.file.size === file.size && image.file.lastModified === file.lastModified);
  }

  /** Takes a model that is ready, and gives the images that it has not processed. @param {BatchStart} start */
  take(start) {
    // Results of another batch are no longer valid.
    if (this.start?.batch !== start.batch) for (const image of this.images) Object.assign(image, { state: "waiting", result: null });
    this.start = start;
    for (const image of this.images) if (image.state === "failed") Object.assign(image, { state: "waiting", error: "" });
    return this.images.filter((image) => image.state !== "done");
  }
}
