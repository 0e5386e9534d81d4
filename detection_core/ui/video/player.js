// The video on the page: one of two versions of a video, at the same time of it.

import { clamp } from "../components/js/dom.js";

/**
 * @param {HTMLVideoElement} video the element
 * @param {(seconds: number) => void} onTime called with the time in seconds whenever it changes, at most once per frame of the page
 * @param {() => void} onFailure called if the browser cannot play the file
 */
export function createVideoPlayer(video, onTime, onFailure) {
  let reported = -1;

  function report() {
    if (video.currentTime !== reported) onTime((reported = video.currentTime));
  }

  function run() {
    report();
    if (!video.paused && !video.ended && video.isConnected) requestAnimationFrame(run);
  }

  video.addEventListener("play", run);
  for (const event of ["seeking", "seeked", "timeupdate", "loadedmetadata"]) video.addEventListener(event, report);
  video.addEventListener("error", () => video.getAttribute("src") && onFailure());
  return {
    /** Plays another file from where the last one was. @param {string} url */
    show(url, time = video.currentTime) {
      if (video.getAttribute("src") === url) return;
      const wasPlaying = !video.paused && !video.ended;
      video.src = url;
      reported = -1;
      video.addEventListener("loadedmetadata", () => {
        video.currentTime = time;
        if (wasPlaying) video.play().catch(() => {});
      }, { once: true });
    },
    clear() {
      if (!video.hasAttribute("src")) return;
      video.removeAttribute("src");
      video.removeAttribute("poster");
      video.load();
    },
    /** @param {number} time */
    seek(time) {
      video.currentTime = clamp(time, 0, Number.isFinite(video.duration) ? video.duration : time);
      report();
    },
    toggle() {
      if (video.paused) video.play().catch(() => {});
      else video.pause();
    },
    time: () => video.currentTime,
  };
}
