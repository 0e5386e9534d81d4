// The visitor's camera: opens it, lists those there are, and explains why it cannot be used.

const CAMERA_WISHES = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

/**
 * @param {HTMLVideoElement} video
 * @param {() => void} onLost called when the camera goes away by itself, unplugged or forbidden
 */
export function createCamera(video, onLost) {
  /** @type {MediaStream | null} */
  let stream = null;
  let turn = 0;

  /**
   * Opens a camera, the browser's choice without an id. Gives false if it was closed again meanwhile.
   * @param {string} deviceId
   */
  async function open(deviceId) {
    close();
    const mine = turn;
    const opened = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { ...CAMERA_WISHES, ...(deviceId ? { deviceId: { exact: deviceId } } : {}) },
    });
    if (mine !== turn) {
      stopTracks(opened);
      return false;
    }
    stream = opened;
    opened.getVideoTracks()[0].addEventListener("ended", () => stream === opened && onLost());
    video.srcObject = opened;
    await video.play();
    return mine === turn;
  }

  function close() {
    turn += 1;
    stopTracks(stream);
    stream = video.srcObject = null;
  }

  /** @returns {MediaTrackSettings} */
  const settings = () => stream?.getVideoTracks()[0]?.getSettings() ?? {};

  return {
    open,
    close,
    deviceId: () => settings().deviceId ?? "",
    looksAway: () => settings().facingMode === "environment",
  };
}

/** @param {MediaStream | null} stream */
function stopTracks(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** Ids and names of all cameras; browsers give them only once the visitor has allowed one. */
export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const cameras = devices.filter(({ kind, deviceId }) => kind === "videoinput" && deviceId);
  return cameras.map(({ deviceId, label }, i) => ({ id: deviceId, name: cameraName(label, i + 1) }));
}

/** Phones call their cameras "camera2 1, facing front". @param {string} label @param {number} number */
export function cameraName(label, number) {
  const side = /facing (front|back)/i.exec(label)?.[1].toLowerCase();
  const lens = /camera2? (\d+)/i.exec(label)?.[1];
  if (side) return `${side === "front" ? "Front" : "Rear"} camera${lens ? ` ${lens}` : ""}`;
  // "HD Webcam (046d:0825)": the numbers say nothing to people.
  return label.replace(/ \([0-9a-f]{4}:[0-9a-f]{4}\)$/i, "") || `Camera ${number}`;
}

/** Why there cannot be a camera here at all, or null. */
export function cameraObstacle() {
  if (navigator.mediaDevices) return null;
  if (window.isSecureContext) return { title: "This browser gives pages no access to cameras", text: "Try a current Chrome, Edge, Firefox or Safari." };
  return { title: "The connection is not secure", text: "Browsers give the camera only to pages at https:// or http://localhost. Open this page at such an address." };
}

/** What went wrong, and what to do, from an error of getUserMedia. @param {unknown} error @returns {ViewError} */
export function explainCamera(error) {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const again = "Then press Start again.";
  const embedded = window.self === window.top ? "" : " If the browser does not ask: this page is embedded in another one; open it in a tab of its own.";
  /** @type {Record<string, string[]>} */
  const known = {
    NotAllowedError: /system/i.test(message)
      ? ["The system does not let this browser use the camera", `Allow it in the system's privacy settings. ${again}`]
      : ["The camera is not allowed", `Click the camera or the lock beside the address and allow the camera for this page. ${again}${embedded}`],
    NotFoundError: ["No camera was found", `Connect one, or switch it on. ${again}`],
    NotReadableError: ["The camera cannot be read", `Another program may be using it: close that one. ${again}`],
    OverconstrainedError: ["The chosen camera is not there any more", "Choose another one, or connect it again."],
    AbortError: ["The camera did not start", `Connect it anew, or restart the browser. ${again}`],
    SecurityError: ["The browser's settings forbid cameras", "Allow pages to ask for the camera in the browser's settings."],
  };
  const [title, text] = known[name] ?? ["The camera cannot be used", `The browser says: ${message || name}`];
  return { title, text };
}
