// Sends frames to the server and takes the answers: the newest frame wins, and at most two are in flight. Knows nothing of the page.

import { createPace } from "./pace.js";

const BUSY_PAUSE = 2000;
const SILENCE_PAUSE = 500;
const MOST_SILENCES = 4;
const ANSWER_PATIENCE = 15000;
// A server that is started anew, or a connection that comes back.
const AWAY_PATIENCE = 300000;
// Most cameras give 30 images a second.
const IMAGE_INTERVAL = 34;
const MOST_EARLY = 8;
const STATS_KEPT = 600;

/**
 * @typedef {object} Run of a stream
 * @property {string} stream
 * @property {number} inFlight
 * @property {number} newestAnswer
 * @property {number} silences
 * @property {number} heard when the latest answer came
 * @property {boolean} isThere whether the server was there after the latest silence
 * @property {number} resumeAt
 * @property {ReturnType<typeof setTimeout> | undefined} timer
 */

/**
 * @typedef {object} Handlers after the last two, nothing more is sent
 * @property {() => LiveOptions} options the visitor's settings, sent with each frame
 * @property {(result: LiveResult, frame: LiveFrame & { received: number }) => void} result
 * @property {(status: ViewStatus) => void} status
 * @property {() => void} away the server is not there, and will be asked again
 * @property {(sentence: string, hasWorked: boolean) => void} expired
 * @property {(error: ViewError) => void} failed
 */

/**
 * @param {Mounting["server"]} server Python's functions frame and end
 * @param {{ isFresh: () => boolean, take: () => { image: string, time: number, sent: number } }} frames where frames come from, see frames.js
 * @param {Handlers} handlers
 */
export function createLiveQueue(server, frames, handlers) {
  /** @type {{ answers: number, latencies: number[], modelMs: number[], sent: number, dropped: number }} */
  const stats = { answers: 0, latencies: [], modelMs: [], sent: 0, dropped: 0 };
  const pace = createPace();
  /** @type {Run | null} */
  let run = null;
  let lastId = 0;

  /** @param {string} stream */
  function start(stream) {
    stop();
    pace.reset();
    const heard = performance.now();
    run = { stream, inFlight: 0, newestAnswer: 0, silences: 0, heard, isThere: false, resumeAt: 0, timer: undefined };
    sendWhenDue();
  }

  function stop() {
    const ended = halt();
    if (ended) server.end({ stream: ended.stream });
  }

  function halt() {
    const ended = run;
    clearTimeout(run?.timer);
    run = null;
    return ended;
  }

  /** Sends a frame if it is time, or sees to it that it will be; called whenever something has changed. */
  function sendWhenDue() {
    if (!run || run.inFlight >= pace.limit() || !frames.isFresh()) return;
    const now = performance.now();
    const delay = Math.max(run.inFlight ? pace.due() : now, run.resumeAt) - now;
    clearTimeout(run.timer);
    // The next image will be fresher than this one is then; the timer is for cameras that give few.
    if (delay > MOST_EARLY) run.timer = setTimeout(sendWhenDue, delay + IMAGE_INTERVAL);
    else send(run);
  }

  /** @param {Run} mine */
  async function send(mine) {
    mine.inFlight += 1;
    const frame = { ...frames.take(), id: ++lastId, ...handlers.options() };
    pace.sent(frame.sent);
    stats.sent += 1;
    const answer = await follow(mine, frame);
    if (run !== mine) return;
    mine.inFlight -= 1;
    take(mine, frame, answer);
    sendWhenDue();
  }

  /** Asks until there is an answer to a frame, or none to be had. @param {Run} mine @param {LiveFrame} frame */
  async function follow(mine, { id, image, time, threshold, stable, tasks }) {
    const { stream } = mine;
    let answer = await patiently(server.frame({ stream, id, image, time, threshold, stable, tasks }));
    while (run === mine && answer?.status) {
      handlers.status(answer.status);
      answer = await patiently(server.frame({ stream, id }));
    }
    return answer;
  }

  /** @param {Run} mine @param {LiveFrame} frame @param {any} answer */
  function take(mine, frame, answer) {
    // Gradio gives nothing where the server could not be reached.
    mine.silences = answer ? 0 : mine.silences + 1;
    if (!answer) return takeSilence(mine);
    Object.assign(mine, { heard: performance.now(), isThere: false });
    if (answer.result) return takeResult(mine, frame, answer.result);
    if (answer.busy) {
      mine.resumeAt = performance.now() + BUSY_PAUSE;
      pace.reset();
      return handlers.status({ stage: "queue", text: answer.busy });
    }
    if (answer.dropped) {
      stats.dropped += 1;
      return;
    }
    halt();
    if (answer.expired) handlers.expired(answer.expired, mine.newestAnswer > 0);
    else handlers.failed(answer.error ?? { title: "The server refused the camera's image", text: answer.refused ?? "It gave no reason." });
  }

  /** @param {Run} mine */
  async function takeSilence(mine) {
    pace.reset();
    mine.resumeAt = performance.now() + SILENCE_PAUSE * Math.min(mine.silences, MOST_SILENCES);
    if (mine.silences < MOST_SILENCES) return;
    const [wasThere, isThere] = [mine.isThere, await isServerThere()];
    if (run !== mine || mine.silences < MOST_SILENCES) return;
    mine.isThere = isThere;
    if (!isThere && performance.now() - mine.heard < AWAY_PATIENCE) {
      handlers.away();
      return handlers.status({ stage: "load", text: "The server does not answer; trying again" });
    }
    // It may have come back just now.
    if (isThere && !wasThere) return;
    stop();
    handlers.failed({ title: "The server does not answer", text: "Is the connection still there? Press Start to try again." });
  }

  /** @param {Run} mine @param {LiveFrame} frame @param {LiveResult} result */
  function takeResult(mine, frame, result) {
    pace.answered({ ...result, sent: frame.sent, received: performance.now() });
    stats.answers += 1;
    if (frame.id < mine.newestAnswer) {
      stats.dropped += 1;
      return;
    }
    mine.newestAnswer = frame.id;
    handlers.result(result, { ...frame, image: null, received: performance.now() });
  }

  /** For tests and benchmarks. @param {number} latency @param {number} modelMs */
  function record(latency, modelMs) {
    for (const [list, value] of /** @type {[number[], number][]} */ ([[stats.latencies, latency], [stats.modelMs, modelMs]])) {
      list.push(value);
      if (list.length > STATS_KEPT) list.shift();
    }
  }

  return { start, stop, sendWhenDue, record, stats, stream: () => run?.stream ?? "" };
}

/** Null when there is no answer in good time. @param {Promise<any>} answer */
function patiently(answer) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const silence = new Promise((resolve) => {
    timer = setTimeout(resolve, ANSWER_PATIENCE, null);
  });
  return Promise.race([answer, silence]).finally(() => clearTimeout(timer));
}

/** Whether anything but a proxy answers. */
async function isServerThere() {
  try {
    return ![502, 503, 504].includes((await fetch("healthz", { cache: "no-store" })).status);
  } catch {
    return false;
  }
}
