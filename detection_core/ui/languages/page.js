// Shows the page in another language: translates every text as it enters the document, whether a view, Python or Gradio wrote it.
// The observer runs before the browser draws, so that the English text is not seen.

import { TEXT_ATTRIBUTES, translate, useCatalog } from "./translate.js";

const NOT_TEXT = "script, style, [translate=no]";

/** @param {string} language one that has a catalog beside this file, such as "de" */
export async function show(language) {
  const response = await fetch(new URL(`./${language}.json`, import.meta.url));
  if (!response.ok) throw new Error(`The page's texts in “${language}” could not be loaded (HTTP status ${response.status}).`);
  useCatalog(await response.json());
  translateTree(document.documentElement);
  const observer = new MutationObserver((changes) => {
    for (const { type, target, addedNodes, attributeName } of changes) {
      if (type === "childList") addedNodes.forEach(translateTree);
      else if (type === "characterData") translateText(/** @type {Text} */ (target));
      else translateAttribute(/** @type {Element} */ (target), /** @type {string} */ (attributeName));
    }
    // What it has written itself is done.
    observer.takeRecords();
  });
  observer.observe(document.documentElement, { subtree: true, childList: true, characterData: true, attributeFilter: TEXT_ATTRIBUTES });
}

/** @param {Node} root */
function translateTree(root) {
  if (root instanceof Text) return translateText(root);
  if (!(root instanceof Element)) return;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = /** @type {Node | null} */ (root); node; node = walker.nextNode()) {
    if (node instanceof Text) translateText(node);
    else for (const name of TEXT_ATTRIBUTES) translateAttribute(/** @type {Element} */ (node), name);
  }
}

/**
 * The attribute `data-sense` tells two meanings of an English word apart: the catalog has the one as "Right", the other as "Right [correct]".
 * @param {Text} node
 */
function translateText(node) {
  const parent = node.parentElement;
  // First of all, because scripts and styles are long.
  if (!parent || parent.closest(NOT_TEXT)) return;
  const { sense } = parent.dataset;
  const english = sense ? `${node.data} [${sense}]` : node.data;
  const text = translate(english);
  if (text !== english) node.data = text;
}

/** @param {Element} node @param {string} name */
function translateAttribute(node, name) {
  const english = node.getAttribute(name);
  const text = english === null ? null : translate(english);
  if (text !== null && text !== english && !node.closest(NOT_TEXT)) node.setAttribute(name, text);
}
