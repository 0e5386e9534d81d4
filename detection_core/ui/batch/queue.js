// Works through images, two at a time: uploads one in a request of its own, then asks the server for it until there is an answer.
// Knows nothing of the page, so that it goes on while the visitor looks at another tab.

const WORKERS = 2;
const BUSY_PAUSE = 700;
const SILENCES = 4;

/**
 * @param upload Gradio's function: a File in, {path} out
 * @param server Python's functions look_at and give_up
 * @param tell {changed(): an image's state is another; status(ViewStatus or null); ended(expired: sentence or "")}
 */
export function createBatchQueue({ upload, server, largest }, tell) {
  let current = null;

  /** Puts images at the end of what is under way, or begins with them; of another batch nothing goes on. */
  function start(batch, images) {
    const isNew = current?.batch !== batch;
    if (isNew) current = { batch, waiting: [], inHand: new Set(), finished: 0, since: performance.now() };
    const run = current;
    run.waiting.push(...images.filter((image) => !run.inHand.has(image) && !run.waiting.includes(image)));
    if (!isNew) return;
    const workers = Array.from({ length: WORKERS }, () => work(run));
    Promise.all(workers).then(() => {
      if (current === run) end("");
    });
  }

  function end(expired) {
    current = null;
    tell.status(null);
    tell.ended(expired);
  }

  function stop() {
    if (!current) return;
    server.give_up({ batch: current.batch });
    end("");
  }

  /** Forgets images; what is in hand is not asked for again. */
  function drop(images) {
    if (!current) return;
    current.waiting = current.waiting.filter((image) => !images.includes(image));
    for (const image of images) current.inHand.delete(image);
  }

  async function work(run) {
    while (current === run && run.waiting.length) {
      const image = run.waiting.shift();
      run.inHand.add(image);
      const outcome = await look(run, image);
      run.inHand.delete(image);
      run.finished += 1;
      if (outcome) Object.assign(image, outcome);
      // Another run may have it in hand already.
      else if (!current?.inHand.has(image)) image.state = "waiting";
      tell.changed();
    }
  }

  function progress() {
    const { finished, inHand, waiting, since } = current;
    return { finished, left: inHand.size + waiting.length, seconds: (performance.now() - since) / 1000 };
  }

  /** What is to be changed about the image; null if it still has to be looked at. */
  async function look(run, image) {
    if (image.file.size > largest) return failed(`The file has ${megabytes(image.file.size)} MB; at most ${megabytes(largest)} MB are allowed.`);
    try {
      if (!image.path) {
        advance(image, "uploading");
        image.path = (await upload(image.file)).path;
      }
    } catch {
      return failed("The upload failed. Is the file still there, and the server? Press Detect to try again.");
    }
    advance(image, "looking");
    return ask(run, image);
  }

  async function ask(run, image) {
    const isWanted = () => current === run && run.inHand.has(image);
    for (let silences = 0; isWanted() && silences < SILENCES; ) {
      const answer = await server.look_at({ batch: run.batch, id: image.id, path: image.path, name: image.name });
      if (answer?.result) return { state: "done", result: answer.result, error: "" };
      if (answer?.error) return failed(answer.error);
      if (answer?.expired && current === run) end(answer.expired);
      if (answer?.status && current === run) tell.status(answer.status);
      // Gradio gives nothing where the server could not be reached.
      silences = answer ? 0 : silences + 1;
      if (!answer?.status) await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE));
    }
    return isWanted() ? failed("The server does not answer. Press Detect to try again.") : null;
  }

  function advance(image, state) {
    image.state = state;
    tell.changed();
  }

  // Uploaded anew when it is tried again: its file may be what is missing.
  const failed = (error) => ({ state: "failed", error, path: "" });
  const megabytes = (bytes) => Math.round(bytes / 2 ** 20);

  return { start, stop, drop, progress, isRunning: () => current !== null };
}
