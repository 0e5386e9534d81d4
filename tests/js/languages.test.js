// Sentences in another language: what a catalog's placeholders stand for, and how texts without a translation of their own are divided.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createTranslator, translate, useCatalog } from "../../detection_core/ui/languages/translate.js";

const CATALOG = {
  Detect: "Erkennen",
  "in memory": "im Speicher",
  "Try again.": "Versuche es noch einmal.",
  "{n} object": "{n} Objekt",
  "{n} objects": "{n} Objekte",
  "Every {n} objects": "Alle {n} Objekte",
  "{n} of {n2} added": "Von {n2} nur {n} hinzugefügt",
  "{model} is {state}": "{model} ist {state}",
  "{n} processed{rest}": "{n} verarbeitet{rest}",
  "about {n} s left": "noch etwa {n} s",
  "Left out: {names}.": "Weggelassen: {names}.",
  "Choose {name}": "{name} auswählen",
  "Cost (in {unit}) [a|b] $1?": "Kosten (in {unit}) [a|b] $1?",
};

/** @type {[what: string, english: string, german: string][]} */
const CASES = [
  ["a sentence", "Detect", "Erkennen"],
  ["a sentence with spaces and line breaks in and around it", "\n  Try\n  again. ", "\n  Versuche es noch einmal. "],
  ["a number", "3 objects", "3 Objekte"],
  ["a number of thousands", "1,200 objects", "1\u202f200 Objekte"],
  ["a number of millions alone", "1,234,567", "1\u202f234\u202f567"],
  ["numbers that are a list or have decimals", "0.25, 1,2,300 and 0.125", "0.25, 1,2,300 and 0.125"],
  ["no number where one is expected", "some objects", "some objects"],
  ["the sentence that says most first", "Every 3 objects", "Alle 3 Objekte"],
  ["parts in another order", "2 of 5 added", "Von 5 nur 2 hinzugefügt"],
  ["a part that is in the catalog itself", "Faster R-CNN is in memory", "Faster R-CNN ist im Speicher"],
  ["a part that looks like a replacement pattern", "$& is $1", "$& ist $1"],
  ["a part that looks like a placeholder", "{state} is {n}", "{state} ist {n}"],
  ["a part that may be missing", "3 processed", "3 verarbeitet"],
  ["a part that begins with a comma", "3 processed, about 5 s left", "3 verarbeitet, noch etwa 5 s"],
  ["a name", "Choose cat.jpg", "cat.jpg auswählen"],
  ["no sentence where a name is expected", "Choose another one.", "Choose another one."],
  ["a phrase that stands as a sentence", "in memory.", "im Speicher."],
  ["two sentences", "Detect. Try again.", "Erkennen. Versuche es noch einmal."],
  ["a sentence with a colon behind one", "cat.jpg: Left out: a “dog” and a “cat”.", "cat.jpg: Weggelassen: a “dog” and a “cat”."],
  ["parts of a line", "3 objects · 2 persons · Detect", "3 Objekte · 2 persons · Erkennen"],
  ["signs that mean something in expressions", "Cost (in s) [a|b] $1?", "Kosten (in s) [a|b] $1?"],
  ["nothing known", "person 0.87, dog 0.4", "person 0.87, dog 0.4"],
  ["no two sentences where a name is expected", "Choose cat.jpg 0.5. Try again", "Choose cat.jpg 0.5. Try again"],
  ["a part of a word", "Detection", "Detection"],
  ["a number alone", "0.87", "0.87"],
  ["nothing", "", ""],
];

for (const [what, english, german] of CASES) {
  test(`translates ${what}`, () => {
    const translated = createTranslator(CATALOG);
    assert.equal(translated(english), german);
    // From what it has kept.
    assert.equal(translated(english), german);
  });
}

test("leaves its own translations alone", () => {
  const translated = createTranslator(CATALOG);
  for (const [, , german] of CASES.filter(([what]) => !what.includes("placeholder"))) assert.equal(translated(german), german);
});

test("reports the parts that have no translation", () => {
  const untranslated = new Set();
  const translated = createTranslator(CATALOG, untranslated);
  for (const text of ["Detect", "A cat is in memory", "Try again. Nothing else", "3 objects · Some of them", "0.87"]) translated(text);
  assert.deepEqual([...untranslated], ["A cat", "Nothing else", "Some of them"]);
});

test("is English until there is a catalog", () => {
  assert.equal(translate("Detect"), "Detect");
  useCatalog(CATALOG);
  assert.equal(translate("Detect"), "Erkennen");
  useCatalog({});
  assert.equal(translate("Detect"), "Detect");
});
