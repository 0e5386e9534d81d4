// The camera's newest image as the server takes it: a small JPEG, with the time at which the camera gave it.

const LONGEST_SIDE = 640;
const JPEG_QUALITY = 0.8;

/** @param {HTMLVideoElement} video @param {() => void} onFrame called whenever the camera has given another image */
export function createFrames(video, onFrame) {
  const canvas = document.createElement("canvas");
  // Read back at once: a canvas on the graphics card would have to be fetched each time.
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false, willReadFrequently: true }));
  /** @type {number | null} */
  let newest = null;
  let watch = 0;
  let limits = [Infinity, Infinity];

  function start() {
    const mine = ++watch;
    // Older browsers do not report new images.
    const wait = (/** @type {(now: number) => void} */ next) => ("requestVideoFrameCallback" in video ? video.requestVideoFrameCallback(next) : requestAnimationFrame(next));
    const next = (/** @type {number} */ now) => {
      if (mine !== watch) return;
      newest = now;
      onFrame();
      wait(next);
    };
    wait(next);
  }

  function stop() {
    watch += 1;
    newest = null;
  }

  /** The newest image {image, time, taken}, which then is no longer fresh; times in ms of the page's clock. */
  function take() {
    const time = newest ?? performance.now();
    newest = null;
    const sides = [video.videoWidth, video.videoHeight];
    const [shorter, longer] = [Math.min(...sides), Math.max(...sides)];
    const shrink = Math.min(1, LONGEST_SIDE / longer, limits[0] / shorter, limits[1] / longer);
    const [width, height] = sides.map((side) => Math.max(1, Math.round(side * shrink)));
    // Setting a size clears the canvas, the same one too.
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    pen.drawImage(video, 0, 0, width, height);
    // At once, unlike toBlob, which waits until the browser has nothing better to do.
    const image = canvas.toDataURL("image/jpeg", JPEG_QUALITY);
    return { image: image.slice(image.indexOf(",") + 1), time, sent: performance.now() };
  }

  /**
   * Beyond these sides, shorter and longer (null: any), pixels would be sent for nothing: the model makes images smaller itself.
   * @param {(number | null)[]} sides
   */
  function fit(sides) {
    limits = sides.map((side) => side ?? Infinity);
  }

  return { start, stop, take, fit, isFresh: () => newest !== null && video.videoWidth > 0 };
}

/** What the camera shows, as large as it gives it. @param {HTMLVideoElement} video */
export async function stillOf(video) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d", { alpha: false })?.drawImage(video, 0, 0);
  /** @type {Blob} */
  const blob = await new Promise((resolve, reject) => canvas.toBlob((made) => (made ? resolve(made) : reject(new Error("no image"))), "image/jpeg", 0.95));
  return new File([blob], "camera.jpg", { type: blob.type });
}
