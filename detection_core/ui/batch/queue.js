// Works through pictures, two at a time: uploads one in a request of its own, then asks the server for it until there is an answer.
// Knows nothing of the page, so that it goes on while the visitor looks at another tab.

const WORKERS = 2;
const BUSY_PAUSE = 700;
const SILENCES = 4;

/**
 * @param upload Gradio's function: a File in, {path} out
 * @param server Python's functions look_at and give_up
 * @param tell {changed(): a picture's state is another; status(ViewStatus or null); ended(expired: sentence or "")}
 */
function createBatchQueue({ upload, server, largest }, tell) {
  let current = null;

  /** Puts pictures at the end of what is under way, or begins with them; of another batch nothing goes on. */
  function start(batch, pictures) {
    const isNew = current?.batch !== batch;
    if (isNew) current = { batch, waiting: [], inHand: new Set(), finished: 0, since: performance.now() };
    const run = current;
    run.waiting.push(...pictures.filter((picture) => !run.inHand.has(picture) && !run.waiting.includes(picture)));
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

  /** Forgets pictures; what is in hand is not asked for again. */
  function drop(pictures) {
    if (!current) return;
    current.waiting = current.waiting.filter((picture) => !pictures.includes(picture));
    for (const picture of pictures) current.inHand.delete(picture);
  }

  async function work(run) {
    while (current === run && run.waiting.length) {
      const picture = run.waiting.shift();
      run.inHand.add(picture);
      const outcome = await look(run, picture);
      run.inHand.delete(picture);
      run.finished += 1;
      if (outcome) Object.assign(picture, outcome);
      // Another run may have it in hand already.
      else if (!current?.inHand.has(picture)) picture.state = "waiting";
      tell.changed();
    }
  }

  function progress() {
    const { finished, inHand, waiting, since } = current;
    return { finished, left: inHand.size + waiting.length, seconds: (performance.now() - since) / 1000 };
  }

  /** What is to be changed about the picture; null if it still has to be looked at. */
  async function look(run, picture) {
    if (picture.file.size > largest) return failed(`The file has ${megabytes(picture.file.size)} MB; at most ${megabytes(largest)} MB are allowed.`);
    try {
      if (!picture.path) {
        advance(picture, "uploading");
        picture.path = (await upload(picture.file)).path;
      }
    } catch {
      return failed("The upload failed. Is the file still there, and the server? Press Detect to try again.");
    }
    advance(picture, "looking");
    return ask(run, picture);
  }

  async function ask(run, picture) {
    const isWanted = () => current === run && run.inHand.has(picture);
    for (let silences = 0; isWanted() && silences < SILENCES; ) {
      const answer = await server.look_at({ batch: run.batch, id: picture.id, path: picture.path, name: picture.name });
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

  function advance(picture, state) {
    picture.state = state;
    tell.changed();
  }

  // Uploaded anew when it is tried again: its file may be what is missing.
  const failed = (error) => ({ state: "failed", error, path: "" });
  const megabytes = (bytes) => Math.round(bytes / 2 ** 20);

  return { start, stop, drop, progress, isRunning: () => current !== null };
}
