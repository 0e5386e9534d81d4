// When to send the next frame: so early that it has arrived when the model has finished the one before, and hardly earlier. Near the
// server that is not worth while: packing and sending beside the model would take cores from it, and frames would be older.

import { clamp } from "../components/js/dom.js";

const WAIT_AIM_MS = 3;
const SHARE_OF_NEWEST = 0.2;
const CORRECTION = 0.5;
// From which share of the model's time on the way to the server and back is long enough for a second frame to be on it meanwhile.
const LONG_WAY = 0.6;

export function createPace() {
  let service = null;
  let way = null;
  let error = 0;
  let lastSent = -Infinity;
  let lastAnswered = -Infinity;
  let room = false;

  function reset() {
    service = way = null;
    room = false;
  }

  const wayOf = ({ ms, sent, received }) => received - sent - ms.wait - ms.network - ms.post - ms.track;

  /** How long the frame waited for the model; below zero, how long the model waited for the frame. */
  function waitOf(answer) {
    return answer.ms.wait > 0.5 ? answer.ms.wait : Math.min(0, lastAnswered - (answer.sent + wayOf(answer)));
  }

  const smoothed = (before, now) => (before === null ? now : before + SHARE_OF_NEWEST * (now - before));

  return {
    reset,
    sent: (now) => { lastSent = now; },
    /** Learns from an answer: `ms` and `room` are the server's, `sent` and `received` the page's times. */
    answered(answer) {
      service = smoothed(service, answer.ms.network + answer.ms.post);
      way = smoothed(way, wayOf(answer));
      error = clamp(waitOf(answer) - WAIT_AIM_MS, -service / 2, service / 2);
      lastAnswered = answer.received;
      room = answer.room;
    },
    /** How many frames may be under way at once. */
    limit: () => (room && way > LONG_WAY * service ? 2 : 1),
    /** From when on another one may be sent although one is under way. */
    due: () => lastSent + service + CORRECTION * error,
  };
}
