// The view's messages: statuses, errors, notes; and files on their way to the visitor's disk.

import { clamp, debounce, make, setAttribute, setText, show } from "./dom.js";

/** Shows what is waited for; null for nothing. @param {Refs} ui @param {ViewStatus | null} status */
export function writeStatus(ui, status) {
  show(ui.status, Boolean(status));
  ui.root.setAttribute("aria-busy", String(Boolean(status)));
  setText(ui.statusText, status?.text ?? "");
  if (status) writeShare(ui, status.total ? clamp((status.done ?? 0) / status.total, 0, 1) : null);
}

/** How much is done, 0–1; null if it is not known. @param {Refs} ui @param {number | null} share */
export function writeShare(ui, share) {
  setText(ui.statusShare, share === null ? "" : `${Math.round(100 * share)}%`);
  ui.progress.classList.toggle("dv-indeterminate", share === null);
  ui.progress.style.setProperty("--share", share ?? 0);
  if (share === null) ui.progress.removeAttribute("aria-valuenow");
  else setAttribute(ui.progress, "aria-valuenow", Math.round(100 * share));
}

/** @param {Refs} ui @param {ViewError | null} error */
export function writeError(ui, error) {
  setText(ui.errorTitle, error?.title ?? "");
  setText(ui.errorText, error?.text ?? "");
  show(ui.error, Boolean(error));
}

/** On a phone the answer to a click lies below the screen. @param {HTMLElement} root */
export function bringIntoView(root) {
  if (root.getBoundingClientRect().top < 0.4 * window.innerHeight) return;
  const behavior = window.matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  root.scrollIntoView({ behavior, block: "start" });
}

/**
 * What screen readers read out: a summary once redrawing has paused, or the answer to an action, which no summary may replace that
 * was asked for before it.
 * @param {HTMLElement} region a live region
 * @param {() => string} summary
 * @param {number} delay ms without another redraw before the summary is read out
 */
export function createAnnouncer(region, summary, delay) {
  const summarizeSoon = debounce(() => setText(region, summary()), delay);
  return {
    summarizeSoon,
    /** @param {string} words */
    say(words) {
      summarizeSoon.cancel();
      setText(region, words);
    },
  };
}

/** @param {HTMLElement} list @param {string[]} lines */
export function showLines(list, lines) {
  list.replaceChildren(...lines.map((line) => make("li", "", line)));
  show(list, lines.length > 0);
}

/** @param {HTMLElement} button @param {boolean} busy */
export function setBusy(button, busy) {
  button.classList.toggle("dv-busy", busy);
  button.setAttribute("aria-busy", String(busy));
}

/**
 * Saves a file of the server's under a name; gives what went wrong, or null.
 *
 * Goes through a blob because the server's own name for a file would win over `link.download`.
 * @param {FileData} file
 * @param {string} name
 * @returns {Promise<ViewError | null>}
 */
export async function saveFile(file, name) {
  try {
    const response = await fetch(file.url);
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    saveBlob(await response.blob(), name);
    return null;
  } catch (error) {
    return { title: "The download failed", text: `${error instanceof Error ? error.message : error}. Try again.` };
  }
}

/**
 * A button for a file that Python has to make first.
 * @param {HTMLElement} button
 * @param {number} patience ms after which nothing is expected any more
 * @param {(error: ViewError) => void} onError
 */
export function createDownload(button, patience, onError) {
  const timeout = debounce(() => setBusy(button, false), patience);
  return {
    begin() {
      setBusy(button, true);
      timeout();
    },
    /** The file has come. @param {FileData} file @param {string} name */
    async save(file, name) {
      const failure = await saveFile(file, name);
      if (failure) onError(failure);
      else setBusy(button, false);
    },
  };
}

/** @param {Blob} blob @param {string} name */
function saveBlob(blob, name) {
  const link = /** @type {HTMLAnchorElement} */ (make("a"));
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser needs the address only until it has begun to save.
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Whether it worked; browsers allow it only on secure pages. @param {string} text */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
