// Lets what is drawn go on between two answers, each object as fast as the tracker saw it, but not for long: then it may have turned.

import { clamp } from "../components/js/dom.js";

const LONGEST_AHEAD_MS = 400;

/**
 * @param {(index: number, dx: number, dy: number) => void} move called with an object's index and how far it has moved, in pixels of the image
 */
export function createMotion(move) {
  /** @type {{ index: number, velocity: Point }[]} */
  let moving = [];
  let since = 0;
  return {
    /**
     * Takes over an answer about a frame that was taken at `time`, ms of the page's clock.
     * @param {{ velocity: Point }[]} objects
     * @param {number} time
     */
    follow(objects, time) {
      moving = objects.flatMap(({ velocity }, index) => (velocity[0] || velocity[1] ? [{ index, velocity }] : []));
      since = time;
    },
    /** @param {number} now */
    step(now) {
      const seconds = clamp(now - since, 0, LONGEST_AHEAD_MS) / 1000;
      for (const { index, velocity: [vx, vy] } of moving) move(index, vx * seconds, vy * seconds);
    },
  };
}
