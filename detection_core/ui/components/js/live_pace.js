// When to send the next frame: so early that it has arrived when the model has finished the one before, and hardly earlier.

const WAIT_AIM_MS = 3;
const SHARE_OF_NEWEST = 0.2;
const CORRECTION = 0.5;

function createPace() {
  let service = null;
  let error = 0;
  let lastSent = -Infinity;
  let lastAnswered = -Infinity;
  let room = false;

  function reset() {
    service = null;
    room = false;
  }

  /** How long the frame waited for the model; below zero, how long the model waited for the frame. */
  function waitOf({ ms, sent, received }) {
    if (ms.wait > 0.5) return ms.wait;
    const way = received - sent - ms.wait - ms.network - ms.post - ms.track;
    return Math.min(0, lastAnswered - (sent + way));
  }

  return {
    reset,
    sent: (now) => { lastSent = now; },
    /** Learns from an answer: `ms` and `room` are the server's, `sent` and `received` the page's times. */
    answered(answer) {
      const taken = answer.ms.network + answer.ms.post;
      service = service === null ? taken : service + SHARE_OF_NEWEST * (taken - service);
      error = clamp(waitOf(answer) - WAIT_AIM_MS, -service / 2, service / 2);
      lastAnswered = answer.received;
      room = answer.room;
    },
    /** How many frames may be under way at once. */
    limit: () => (room ? 2 : 1),
    /** From when on another one may be sent although one is under way. */
    due: () => lastSent + service + CORRECTION * error,
  };
}
