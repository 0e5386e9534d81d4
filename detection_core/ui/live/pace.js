// When to send the next frame: so early that it has arrived when the model has finished the one before, and hardly earlier. Near the
// server that is not worth while: packing and sending beside the model would take cores from it, and frames would be older.

import { clamp } from "../components/js/dom.js";

const WAIT_AIM_MS = 3;
const SHARE_OF_NEWEST = 0.2;
const CORRECTION = 0.5;
// From which share of the model's time on the way to the server and back is long enough for a second frame to be on it meanwhile.
const LONG_WAY = 0.6;

/** @typedef {{ ms: LiveTimes, room: boolean, sent: number, received: number }} Answer `ms` and `room` are the server's, the rest the page's */

export function createPace() {
  /** @type {number | null} */
  let service = null;
  /** @type {number | null} */
  let way = null;
  let error = 0;
  let lastSent = -Infinity;
  let lastAnswered = -Infinity;
  let room = false;

  function reset() {
    service = way = null;
    room = false;
  }

  /** @param {Answer} answer */
  const wayOf = ({ ms, sent, received }) => received - sent - ms.wait - ms.network - ms.post - ms.track;

  /**
   * How long the frame waited for the model; below zero, how long the model waited for the frame.
   * @param {Answer} answer
   */
  function waitOf(answer) {
    return answer.ms.wait > 0.5 ? answer.ms.wait : Math.min(0, lastAnswered - (answer.sent + wayOf(answer)));
  }

  /** @param {number | null} before @param {number} now */
  const smoothed = (before, now) => (before === null ? now : before + SHARE_OF_NEWEST * (now - before));

  return {
    reset,
    /** @param {number} now */
    sent: (now) => { lastSent = now; },
    /** Learns from an answer. @param {Answer} answer */
    answered(answer) {
      service = smoothed(service, answer.ms.network + answer.ms.post);
      way = smoothed(way, wayOf(answer));
      error = clamp(waitOf(answer) - WAIT_AIM_MS, -service / 2, service / 2);
      lastAnswered = answer.received;
      room = answer.room;
    },
    /** How many frames may be in flight at once. */
    limit: () => (room && (way ?? 0) > LONG_WAY * (service ?? 0) ? 2 : 1),
    /** From when on another one may be sent although one is in flight. */
    due: () => lastSent + (service ?? 0) + CORRECTION * error,
  };
}
