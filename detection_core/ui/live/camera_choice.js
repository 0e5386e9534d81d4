// Which camera is shown, and whether mirrored.

import { setAttribute, show } from "../components/js/dom.js";
import { listCameras } from "./camera.js";

/**
 * @param {Refs} ui
 * @param {{ camera: string, mirror: boolean | null }} state what the visitor has chosen
 * @param {ReturnType<typeof import("./camera.js").createCamera>} camera
 * @param {{ onCamera: () => void, onMirror: () => void }} handlers
 */
export function createCameraChoice(ui, state, camera, { onCamera, onMirror }) {
  /** People know themselves mirrored; a camera that faces away from them is shown as it is. */
  const isMirrored = () => state.mirror ?? !camera.looksAway();

  function drawMirror() {
    ui.root.classList.toggle("lv-mirrored", isMirrored());
    setAttribute(ui.mirror, "aria-pressed", isMirrored());
    onMirror();
  }

  async function drawCameras() {
    const cameras = await listCameras();
    ui.cameras.replaceChildren(...cameras.map(({ id, name }) => new Option(name, id, false, id === camera.deviceId())));
    show(ui.cameraRow, cameras.length > 1);
  }

  ui.cameras.addEventListener("change", () => {
    Object.assign(state, { camera: ui.cameras.value, mirror: null });
    onCamera();
  });
  ui.mirror.addEventListener("click", () => {
    state.mirror = !isMirrored();
    drawMirror();
  });

  return {
    isMirrored,
    drawCameras,
    draw() {
      drawCameras();
      drawMirror();
    },
  };
}
