// Polls the server for the progress of the work on a video until it ends. Knows nothing of the page, so that it continues while the visitor is
// in another tab.

const FOLLOW_PAUSE = 1000;
const FOLLOW_SILENCES = 5;

/**
 * @param {Mounting["server"]} server Python's functions watch and stop
 * @param {Pick<VideoHandlers, "progressed" | "ended">} handlers `progressed` gets an answer of `watch`,
 *   `ended` a stage, or "expired" or "silent", and a sentence
 */
export function createVideoFollower(server, handlers) {
  /** @type {string | null} */
  let video = null;
  let last = "";

  /** @param {string} followed */
  async function follow(followed) {
    video = last = followed;
    /** @type {VideoProgress | null} */
    let seen = null;
    for (let silences = 0; video === followed; ) {
      /** @type {any} */
      const answer = await server.watch({ video, seen }).catch(() => null);
      if (video !== followed) return;
      // Gradio gives nothing where the server could not be reached.
      silences = answer ? 0 : silences + 1;
      if (answer?.expired) return end("expired", answer.expired);
      if (["done", "failed", "cancelled"].includes(answer?.stage)) return end(answer.stage, answer.error ?? "");
      if (silences >= FOLLOW_SILENCES) return end("silent", "The server does not answer. Is it still running? The work may go on there.");
      if (answer) handlers.progressed((seen = answer));
      else await new Promise((resolve) => setTimeout(resolve, FOLLOW_PAUSE));
    }
  }

  /** @param {string} stage @param {string} text */
  function end(stage, text) {
    video = null;
    handlers.ended(stage, text);
  }

  return {
    follow,
    /** The video followed last. */
    last: () => last,
    /** Ends the work; what has been found comes back like everything else. */
    stop() {
      if (video) server.stop({ video });
    },
    /** Forgets it: another video has taken its place. */
    drop() {
      if (video) server.stop({ video });
      video = null;
    },
  };
}
