// What the view tells in words: what is waited for, what went wrong, remarks; and files on their way to the visitor's disk.

import { clamp, make, setText, show } from "./dom.js";

export function writeStatus(ui, status) {
  show(ui.status, Boolean(status));
  ui.root.setAttribute("aria-busy", String(Boolean(status)));
  setText(ui.statusText, status?.text ?? "");
  if (!status) return;
  const share = status.total ? clamp(status.done / status.total, 0, 1) : null;
  setText(ui.statusShare, share === null ? "" : `${Math.round(100 * share)}%`);
  ui.progress.classList.toggle("dv-indeterminate", share === null);
  ui.progress.style.setProperty("--share", share ?? 0);
  if (share === null) ui.progress.removeAttribute("aria-valuenow");
  else ui.progress.setAttribute("aria-valuenow", Math.round(100 * share));
}

export function writeError(ui, error) {
  setText(ui.errorTitle, error?.title ?? "");
  setText(ui.errorText, error?.text ?? "");
  show(ui.error, Boolean(error));
}

/** On a phone the answer to a click lies below the screen. */
export function bringIntoView(root) {
  if (root.getBoundingClientRect().top < 0.7 * window.innerHeight) return;
  const behavior = window.matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  root.scrollIntoView({ behavior, block: "start" });
}

export function showLines(list, lines) {
  list.replaceChildren(...lines.map((line) => make("li", "", line)));
  show(list, lines.length > 0);
}

/** Goes through a blob because the server's own name for a file would win over `link.download`. */
export async function saveFile(file, name) {
  const response = await fetch(file.url);
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  const link = make("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  // The browser needs the address only until it has begun to save.
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
