// Lists the texts of the browser's modules as JSON, for the tests of the catalogs: {shown, all}. `shown` are those that people certainly
// read; in `all` are also the words that may as well be names of styles or keys. What is put into a text becomes {}.

import fs from "node:fs";
import path from "node:path";
import ts from "typescript";

const ROOT = path.join(import.meta.dirname, "../../detection_core/ui");
// Calls with arguments that nobody reads, by the places of these; -1 stands for all.
const UNREAD = {
  make: [0, 1], makeSvg: [0, 1], makeButton: [0], addEventListener: [0], removeEventListener: [0], querySelector: [0], querySelectorAll: [0],
  closest: [0], matches: [0], toggle: [0], add: [-1], remove: [-1], setProperty: [-1], getContext: [0], trigger: [0], createElementNS: [0],
  matchMedia: [0], toggleAttribute: [0], removeAttribute: [0],
};
const READ_ATTRIBUTES = ["aria-label", "aria-valuetext", "alt", "label", "placeholder", "title"];
const UNREAD_PROPERTIES = /^(className|transform|background|font|width|height|left|top|maxHeight|translate|d|type|role|viewBox|path|class)$/;
const LOOKS_LIKE_TEXT = /\p{Lu}\p{Ll}|[\p{L}\d{}.,:] [\p{L}{(]|^[.,;:] |\p{L}…|\p{L} [↓→]/u;

/** What an expression may say, or null if that is unknown. @param {ts.Node} node @returns {string[] | null} */
function textsOf(node) {
  if (ts.isParenthesizedExpression(node)) return textsOf(node.expression);
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isConditionalExpression(node)) return [node.whenTrue, node.whenFalse].flatMap((part) => textsOf(part) ?? ["{}"]);
  if (ts.isTemplateExpression(node)) {
    return node.templateSpans.reduce((texts, { expression, literal }) => {
      const parts = textsOf(expression) ?? ["{}"];
      return texts.flatMap((text) => parts.map((part) => text + part + literal.text));
    }, [node.head.text]);
  }
  return null;
}

/** "{} object" and "{} objects", where an expression counts things. @param {ts.Node} node */
function countsOf(node) {
  if (!ts.isCallExpression(node)) return null;
  const [one, many] = node.arguments.slice(1).map((argument) => textsOf(argument)?.[0] ?? "");
  const name = node.expression.getText();
  if (name === "counted" && one) return [`{} ${one}`, `{} ${one}s`];
  return name === "plainCount" ? [`{} ${one ?? "object"}`, `{} ${many ?? "objects"}`] : null;
}

/** @param {ts.Node} node a text */
function isRead(node) {
  const { parent } = node;
  if (ts.isBinaryExpression(parent)) {
    if (/^[!=]==$/.test(parent.operatorToken.getText())) return false;
    return !(ts.isPropertyAccessExpression(parent.left) && UNREAD_PROPERTIES.test(parent.left.name.text));
  }
  if (ts.isPropertyAssignment(parent)) return parent.name !== node && !UNREAD_PROPERTIES.test(parent.name.getText());
  if (ts.isConditionalExpression(parent) || ts.isParenthesizedExpression(parent)) return isRead(parent);
  if (ts.isCaseClause(parent) || ts.isElementAccessExpression(parent)) return false;
  if (!ts.isCallExpression(parent)) return true;
  const name = parent.expression.getText().split(".").at(-1) ?? "";
  const place = parent.arguments.indexOf(/** @type {ts.Expression} */ (node));
  if (name === "setAttribute") return place === parent.arguments.length - 1 && READ_ATTRIBUTES.includes(/** @type {any} */ (parent.arguments.at(-2)).text);
  return !(Object.hasOwn(UNREAD, name) ? UNREAD[name] : []).some((unread) => unread === -1 || unread === place);
}

const shown = new Map();
const all = new Set();
for (const file of fs.readdirSync(ROOT, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js") && !name.startsWith("languages")).sort()) {
  const source = ts.createSourceFile(file, fs.readFileSync(path.join(ROOT, file), "utf8"), ts.ScriptTarget.ES2023, true);
  /** @param {ts.Node} node @param {boolean} isPart whether it has been read as a part of a longer text already */
  const visit = (node, isPart) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    const isConditional = ts.isConditionalExpression(node) || ts.isParenthesizedExpression(node);
    const counts = countsOf(node);
    const texts = isConditional ? null : textsOf(node);
    for (const text of counts ?? texts ?? []) {
      all.add(text);
      if (counts || (!isPart && isRead(node) && LOOKS_LIKE_TEXT.test(text))) shown.set(text, shown.get(text) ?? file);
    }
    const isTextOfPart = counts !== null || (ts.isTemplateSpan(node) ? isPart && textsOf(node.expression) !== null : texts !== null || (isPart && isConditional));
    ts.forEachChild(node, (child) => visit(child, isTextOfPart));
  };
  visit(source, false);
}
console.log(JSON.stringify({ shown: Object.fromEntries(shown), all: [...all] }));
