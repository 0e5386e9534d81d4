// Videos in words: times, sizes, how many frames will be processed, and how long that takes.

/** "0:03", "12:30", "1:02:03"; with `tenths` "0:03.2". @param {number} seconds */
export function clockTime(seconds, tenths = false) {
  const units = tenths ? Math.round(seconds * 10) : Math.round(seconds) * 10;
  const whole = Math.floor(units / 10);
  const pad = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return `${h ? `${h}:${pad(m)}` : m}:${pad(s)}${tenths ? `.${units % 10}` : ""}`;
}

/** "12 s", "3 min", "1 h 20 min": as exact as a waiting visitor needs. @param {number} seconds */
export function roughly(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {number} bytes */
export function fileSize(bytes) {
  if (bytes >= 1e9) return `${Number((bytes / 1e9).toFixed(1))} GB`;
  return bytes >= 1e6 ? `${Number((bytes / 1e6).toPrecision(3))} MB` : `${Math.max(1, Math.round(bytes / 1e3))} kB`;
}

/** "640×360 · 0:08 · 25 frames/s · with sound". @param {VideoFacts} facts */
export function factsInWords({ width, height, seconds, fps, sound }) {
  return [`${width}×${height}`, clockTime(seconds), `${Number(fps.toFixed(2))} frames/s`, sound ? "with sound" : "no sound"].join(" · ");
}

/**
 * How many frames a model processes; `rate` is "all" or a number of frames a second.
 * @param {Pick<VideoFacts, "seconds" | "fps" | "frames">} facts
 * @param {string} rate
 * @param {number} longest
 */
export function framesAt({ seconds, fps, frames }, rate, longest) {
  const used = Math.min(seconds, longest);
  const all = frames && used === seconds ? frames : Math.round(used * fps);
  return Math.max(1, rate === "all" ? all : Math.min(all, Math.ceil(used * Math.min(Number(rate), fps))));
}
