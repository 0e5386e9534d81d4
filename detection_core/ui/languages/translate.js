// Sentences in another language, found in a catalog by their English text.
//
// A key may have placeholders, which its translation repeats by name: {n}, {n2} … stand for numbers, {rest} for any text or none, {name} for a
// text without the end of a sentence, and any other for some text. Texts in their places are translated themselves. So a sentence can be
// translated after its parts have been put in, by Python or by a module.

/** @typedef {Record<string, string>} Catalog translations by the English text */
/** @typedef {{ expression: RegExp, clue: string, weight: number, names: string[], translation: string }} Pattern a key with placeholders */

// Attributes that people read or hear; styles show `data-column`.
export const TEXT_ATTRIBUTES = ["aria-label", "aria-valuetext", "alt", "data-column", "label", "placeholder", "title"];
const PLACEHOLDER = /\{(\w+)\}/;
/** What a placeholder matches, where its name says more than that it is some text. @type {Record<string, string>} */
const GROUPS = { n: "([\\d.,]*\\d)", name: "((?:(?!\\. ).)*?[^.])", rest: "(.*?)" };
// Texts repeat, most of all those without a translation, such as "person 0.87".
const MOST_KEPT = 5000;
// Characters; what is longer is no text of the page's own.
const LONGEST = 3000;
// Commas between thousands would be read as decimal ones; the point stays, as in files and fields.
const THOUSANDS = /(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])/g;
// Where a text without a translation of its own is divided, in this order: at the ends of sentences, then within them.
const SEPARATORS = [/(?<=[.?!…]”?) +/, / · /, /; /, /: /, /, /];

/** @type {(text: string) => string} */
let translator = (text) => text;

/** A text in the page's language, or as it is where there is no translation. @param {string} text */
export const translate = (text) => translator(text);

/**
 * Makes `translate` use a catalog from now on. For debugging: a set that is `globalThis.untranslated` before the page loads gets the texts that
 * have no translation; names and data are among them.
 * @param {Catalog} catalog
 */
export function useCatalog(catalog) {
  translator = createTranslator(catalog, /** @type {{ untranslated?: Set<string> }} */ (globalThis).untranslated);
}

/** @param {Catalog} catalog @param {Set<string>} [untranslated] gets the texts without a translation @returns {(text: string) => string} */
export function createTranslator(catalog, untranslated) {
  const fixed = new Map(Object.entries(catalog).filter(([key]) => !PLACEHOLDER.test(key)));
  const patterns = Object.entries(catalog).filter(([key]) => PLACEHOLDER.test(key)).map(compile);
  // What says most is tried first: "Every {n} frames" before "{n} frames".
  patterns.sort((a, b) => b.weight - a.weight);
  /** @type {Map<string, string>} */
  const kept = new Map();

  /** @param {string} text @returns {string} */
  function translated(text) {
    const [, before, middle, after] = /** @type {RegExpMatchArray} */ (text.match(/^([\s,;:·(]*)(.*?)(\s*)$/s));
    if (!/\p{L}/u.test(middle)) return text;
    const words = middle.replace(/\s+/g, " ");
    const found = whole(words) ?? divided(words);
    return found === words ? text : before + found + after;
  }

  /** A phrase may also stand as a sentence. @param {string} text @returns {string | undefined} */
  function whole(text) {
    const found = fixed.get(text) ?? filled(text);
    if (found !== undefined || !text.endsWith(".")) return found;
    const phrase = text.slice(0, -1);
    const translation = fixed.get(phrase) ?? (/^\P{Lu}/u.test(phrase) ? filled(phrase) : undefined);
    return translation === undefined ? undefined : `${translation}.`;
  }

  /** @param {string} text */
  function filled(text) {
    for (const { expression, clue, names, translation } of patterns) {
      const parts = text.includes(clue) && text.match(expression);
      if (parts) return translation.replace(/\{(\w+)\}/g, (_, name) => translated(parts[names.indexOf(name) + 1]));
    }
    return undefined;
  }

  /** @param {string} text */
  function divided(text) {
    const separator = SEPARATORS.map((each) => text.match(each)).find((each) => each !== null);
    if (!separator) {
      untranslated?.add(text);
      return text;
    }
    const [start, end] = [separator.index ?? 0, (separator.index ?? 0) + separator[0].length];
    return translated(text.slice(0, start)) + separator[0] + translated(text.slice(end));
  }

  return (text) => {
    if (text.length > LONGEST) return text;
    const known = kept.get(text);
    if (known !== undefined) return known;
    if (kept.size >= MOST_KEPT) kept.clear();
    const found = translated(text).replace(THOUSANDS, (number) => number.replaceAll(",", "\u202f"));
    kept.set(text, found);
    return found;
  };
}

/** @param {[string, string]} entry @returns {Pattern} */
function compile([key, translation]) {
  const pieces = key.split(PLACEHOLDER);
  const [texts, names] = [0, 1].map((parity) => pieces.filter((_, i) => i % 2 === parity));
  const groups = names.map((name) => GROUPS[name.replace(/\d+$/, "")] ?? "(.+?)");
  const source = texts.map((text, i) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&") + (groups[i] ?? "")).join("");
  const clue = texts.reduce((longest, text) => (text.length > longest.length ? text : longest));
  return { expression: new RegExp(`^${source}$`, "s"), clue, weight: texts.join("").length, names, translation };
}
