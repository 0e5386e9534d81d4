// Files that a visitor chooses, a folder or a drop, by their names in it.

/** [{file, name, fromFolder}] of a file input's choice. @param {HTMLInputElement} input @returns {ChosenFile[]} */
export function chosenFiles(input) {
  return [...(input.files ?? [])].map((file) => ({ file, name: file.webkitRelativePath || file.name, fromFolder: Boolean(file.webkitRelativePath) }));
}

/** The same of a file on the server. @param {FileData} served @returns {Promise<ChosenFile>} */
export async function fetchFile({ url, orig_name: name }) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(url);
  // Without a date of its own, a file that is added again is the same.
  return { file: new File([await response.blob()], name, { lastModified: 0 }), name, fromFolder: false };
}

/**
 * The same of a drop, with all that dropped folders hold; must be called while the event is being handled.
 * @param {DataTransfer} transfer
 * @returns {Promise<ChosenFile[]>}
 */
export async function droppedFiles(transfer) {
  const sources = [...transfer.items].filter(({ kind }) => kind === "file").map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const found = await Promise.all(sources.map(({ entry, file }) => (entry ? filesOf(entry, entry.name, false) : file ? [{ file, name: file.name, fromFolder: false }] : [])));
  return found.flat();
}

/** @param {FileSystemEntry} entry @param {string} name @param {boolean} fromFolder @returns {Promise<ChosenFile[]>} */
async function filesOf(entry, name, fromFolder) {
  if (entry.isFile) {
    const source = /** @type {FileSystemFileEntry} */ (entry);
    /** @type {File | null} */
    const file = await new Promise((resolve) => source.file(resolve, () => resolve(null)));
    return file ? [{ file, name, fromFolder }] : [];
  }
  const children = await childrenOf(/** @type {FileSystemDirectoryEntry} */ (entry).createReader());
  const found = await Promise.all(children.map((child) => filesOf(child, `${name}/${child.name}`, true)));
  return found.flat();
}

/** A reader gives a hundred entries at a time. @param {FileSystemDirectoryReader} reader */
async function childrenOf(reader) {
  /** @type {FileSystemEntry[]} */
  const all = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) return all;
    all.push(...some);
  }
}
