// Works through images, two at a time: uploads one in a request of its own, then asks the server for it until there is an answer.
// Knows nothing of the page, so that it continues while the visitor is in another tab.

const WORKERS = 2;
const BUSY_PAUSE = 700;
const SILENCES = 4;

/** Why a batch ends early: its results are no longer kept, or its model is not available. @typedef {{ expired?: string, unavailable?: ViewError }} BatchProblem */

/**
 * @typedef {object} Run of a batch
 * @property {string} batch
 * @property {BatchImage[]} waiting
 * @property {Set<BatchImage>} pending
 * @property {number} finished
 * @property {number} since
 */

/**
 * @param {Pick<Mounting, "upload" | "server"> & { largest: number }} gradio `server` has Python's functions detect_image and give_up; `largest`
 *   is the size of a file in bytes
 * @param {{ changed: () => void, status: (status: ViewStatus | null) => void, ended: (problem: BatchProblem | null) => void }} handlers
 *   `changed`: an image's state is another
 */
export function createBatchQueue({ upload, server, largest }, handlers) {
  /** @type {Run | null} */
  let current = null;

  /**
   * Puts images at the end of the queue, or starts one; the queue of another batch is dropped.
   * @param {string} batch
   * @param {BatchImage[]} images
   */
  function start(batch, images) {
    const known = current?.batch === batch ? current : null;
    /** @type {Run} */
    const run = known ?? { batch, waiting: [], pending: new Set(), finished: 0, since: performance.now() };
    current = run;
    run.waiting.push(...images.filter((image) => !run.pending.has(image) && !run.waiting.includes(image)));
    if (known) return;
    const workers = Array.from({ length: WORKERS }, () => work(run));
    Promise.all(workers).then(() => {
      if (current === run) end(null);
    });
  }

  /** @param {BatchProblem | null} problem */
  function end(problem) {
    current = null;
    handlers.status(null);
    handlers.ended(problem);
  }

  function stop() {
    if (!current) return;
    server.give_up({ batch: current.batch });
    end(null);
  }

  /** Forgets images; those in progress are not requested again. @param {BatchImage[]} images */
  function drop(images) {
    if (!current) return;
    current.waiting = current.waiting.filter((image) => !images.includes(image));
    for (const image of images) current.pending.delete(image);
  }

  /** @param {Run} run */
  async function work(run) {
    while (current === run) {
      const image = run.waiting.shift();
      if (!image) return;
      run.pending.add(image);
      const outcome = await detect(run, image);
      run.pending.delete(image);
      run.finished += 1;
      if (outcome) Object.assign(image, outcome);
      // Another run may be processing it already.
      else if (!current?.pending.has(image)) image.state = "waiting";
      handlers.changed();
    }
  }

  function progress() {
    if (!current) return { finished: 0, left: 0, seconds: 0 };
    const { finished, pending, waiting, since } = current;
    return { finished, left: pending.size + waiting.length, seconds: (performance.now() - since) / 1000 };
  }

  /**
   * What is to be changed about the image; null if it still has to be processed.
   * @param {Run} run
   * @param {BatchImage} image
   */
  async function detect(run, image) {
    if (image.file.size > largest) return failed(`The file has ${megabytes(image.file.size)} MB; at most ${megabytes(largest)} MB are allowed.`);
    try {
      if (!image.path) {
        advance(image, "uploading");
        image.path = (await upload(image.file)).path;
      }
    } catch {
      return failed("The upload failed. Is the file still there, and the server? Press Detect to try again.");
    }
    advance(image, "detecting");
    return ask(run, image);
  }

  /** @param {Run} run @param {BatchImage} image */
  async function ask(run, image) {
    const isWanted = () => current === run && run.pending.has(image);
    for (let silences = 0; isWanted() && silences < SILENCES; ) {
      const answer = await server.detect_image({ batch: run.batch, id: image.id, path: image.path, name: image.name });
      if (answer?.result) return { state: "done", result: answer.result, error: "" };
      if (answer?.error) return failed(answer.error);
      if ((answer?.expired || answer?.unavailable) && current === run) end(answer);
      if (answer?.status && current === run) handlers.status(answer.status);
      // Gradio gives nothing where the server could not be reached.
      silences = answer ? 0 : silences + 1;
      if (!answer?.status) await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE));
    }
    return isWanted() ? failed("The server does not answer. Press Detect to try again.") : null;
  }

  /** @param {BatchImage} image @param {string} state */
  function advance(image, state) {
    image.state = state;
    handlers.changed();
  }

  // Uploaded anew when it is tried again: its file may be what is missing.
  /** @param {string} error */
  const failed = (error) => ({ state: "failed", error, path: "" });
  /** @param {number} bytes */
  const megabytes = (bytes) => Math.round(bytes / 2 ** 20);

  return { start, stop, drop, progress, isRunning: () => current !== null };
}
