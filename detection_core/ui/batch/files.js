// Which of the chosen files are taken, in natural order, and the remark about the rest.

import { counted } from "../components/js/dom.js";

const IMAGE_ENDINGS = /[.](jpe?g|jfif|mpo|png|webp|bmp|dib|gif|tiff?|avif|hei[cf]|jp2|jxl|svg|psd|dng|cr[23]|nef|arw|raf|orf|rw2)$/i;
export const naturalOrder = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/**
 * Sorts what was chosen.
 * @param {ChosenFile[]} files
 * @param {(file: ChosenFile) => boolean} isKnown returns whether a file is in the batch already
 * @param {number} room how many more images there may be
 * @param {number} most
 * @returns {{ taken: ChosenFile[], notes: string[] }} files to add, and sentences on those left out
 */
export function sortOut(files, isKnown, room, most) {
  // A folder holds other things too; a file chosen by itself deserves an answer, whatever it is.
  const images = files.filter(({ file, name, fromFolder }) => !fromFolder || ((file.type.startsWith("image/") || IMAGE_ENDINGS.test(name)) && !name.includes("/.")));
  const fresh = images.filter((image) => !isKnown(image));
  const taken = [...fresh].sort((a, b) => naturalOrder.compare(a.name, b.name)).slice(0, room);
  /** @type {string[]} */
  const notes = [];
  const others = files.length - images.length;
  const known = images.length - fresh.length;
  if (others) notes.push(`${counted(others, "file")} in the folder left out: no ${others === 1 ? "image" : "images"}.`);
  if (known) notes.push(`${counted(known, "image")} not added again: already here.`);
  if (taken.length < fresh.length) notes.push(`Only ${taken.length} of ${fresh.length} added: at most ${most} images at a time.`);
  return { taken, notes };
}
