// A video on its way to the server, with progress and a way to stop it: Gradio's own upload has neither.

/**
 * @param {File} file
 * @param {Mounting["upload"]} upload Gradio's function, where the page does not say where it sends files
 * @param {(share: number) => void} onShare called with the share that has been sent, 0–1
 * @returns {{ done: Promise<string>, stop: () => void }} `done` gives the file's path on the server; it is rejected with an Error whose message is for people
 */
export function sendVideo(file, upload, onShare) {
  const { root, api_prefix: prefix = "" } = /** @type {any} */ (window).gradio_config ?? {};
  if (!root) return { done: upload(file).then(({ path }) => path, () => Promise.reject(new Error(UPLOAD_FAILED))), stop() {} };
  const request = new XMLHttpRequest();
  const form = new FormData();
  form.append("files", file);
  /** @type {Promise<string>} */
  const done = new Promise((resolve, reject) => {
    const fail = (/** @type {string} */ text) => reject(new Error(text));
    request.upload.addEventListener("progress", ({ loaded, total }) => onShare(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      if (request.status === 413) return fail("The server does not take files of this size.");
      if (request.status !== 200 || !request.response?.[0]) return fail(UPLOAD_FAILED);
      resolve(request.response[0]);
    });
    request.addEventListener("error", () => fail(UPLOAD_FAILED));
    request.addEventListener("abort", () => fail(""));
  });
  request.responseType = "json";
  request.open("POST", `${root}${prefix}/upload`);
  request.send(form);
  return { done, stop: () => request.abort() };
}

const UPLOAD_FAILED = "The upload failed. Is the file still there, and the server? Choose it again.";
