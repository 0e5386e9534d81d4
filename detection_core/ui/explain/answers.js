// The answers to "why?" and "why not?" in the panel: sentence, candidates, class scores, steps and suppressed candidates, each highlighted in the image.

import { counted, make, makeButton, setText, show } from "../components/js/dom.js";
import { setBusy } from "../components/js/feedback.js";
import { countedBoxes, exactScore, fateText, stepText } from "./words.js";

// From this IoU on a candidate fits a box, as in explanation/query.py.
const FITTING_IOU = 0.5;

/** Whether a candidate does not fit the box that was asked about, and is only the closest one. @param {ExplainPlace} place */
const isFar = ({ iou }) => iou !== null && iou < FITTING_IOU;

/**
 * @param {Refs} ui
 * @param {{
 *   draw: (marks: import("./drawing.js").Mark[]) => void,
 *   askWhy: (number: number) => void,
 *   explainSlice: (object: number) => Promise<void>,
 *   addSaliency: (parent: HTMLElement, why: ExplainWhy) => void,
 * }} mode
 */
export function createAnswers(ui, { draw, askWhy, explainSlice, addSaliency }) {
  /** @param {string} sentence */
  function begin(sentence) {
    setText(ui.explainSentence, sentence);
    show(ui.explainHint, !sentence);
    const hadFocus = ui.explainAnswer.contains(document.activeElement);
    ui.explainAnswer.replaceChildren();
    ui.explainPanel.scrollTop = 0;
    // Keys go on from the new answer when what was pressed is gone with the old one.
    if (hadFocus) ui.explainSentence.focus({ preventScroll: true });
  }

  /** @param {string} title @param {HTMLElement[]} items @param {string} [className] */
  function addList(title, items, className = "") {
    if (!items.length) return;
    const list = make("ul", `dv-explain-list ${className}`);
    list.append(...items.map((item) => {
      const row = make("li");
      row.append(item);
      return row;
    }));
    ui.explainAnswer.append(make("h3", "", title), list);
  }

  /** A line with a name, a bar for its score, and a remark. @param {string} name @param {number} score @param {string} remark */
  function scoreLine(name, score, remark = "") {
    const line = make("div", "dv-explain-score");
    const bar = make("span", "dv-bar");
    bar.style.setProperty("--score", String(score));
    line.append(make("span", "dv-explain-name", name), bar, make("span", "dv-explain-figure", exactScore(score)), make("span", "dv-explain-remark", remark));
    return line;
  }

  /** @param {ExplainPlace} place @param {Asked} asked @param {boolean} isBest */
  function drawPlace(place, asked, isBest) {
    const [best] = place.classes;
    const title = `${best.name} ${exactScore(best.score)}`;
    /** @type {import("./drawing.js").Mark[]} */
    const marks = [{ box: place.box, label: isBest ? `${isFar(place) ? "Closest" : "Best"} candidate: ${title}` : title, kind: "candidate" }];
    if (best.suppressor) marks.unshift({ box: best.suppressor.box, label: `Suppressed by ${best.suppressor.name} ${exactScore(best.suppressor.score)}`, kind: "suppressor" });
    draw([...marks, { box: asked.box, kind: "asked" }]);
  }

  /** @param {ExplainPlace} place @param {Asked} asked @param {boolean} isBest */
  function placeItem(place, asked, isBest) {
    const item = make("div", "dv-explain-place");
    const [best] = place.classes;
    const figures = [fateText(best.fate), place.iou === null ? "" : `IoU ${place.iou.toFixed(2)}`].filter(Boolean).join(" · ");
    const button = makeButton("dv-explain-pick", "", () => drawPlace(place, asked, isBest));
    button.append(scoreLine(best.name, best.score, figures));
    button.title = "Show this candidate in the image";
    item.append(button);
    const details = make("details");
    details.append(make("summary", "", "All class scores here"));
    if (place.background !== null) details.append(scoreLine("background", place.background));
    for (const { name, score, reason } of place.classes) details.append(scoreLine(name, score), make("p", "dv-explain-reason", `It ${reason}.`));
    const { suppressor } = best;
    if (suppressor) {
      const number = suppressor.number;
      const text = `${suppressor.name} ${exactScore(suppressor.score)}, IoU ${suppressor.iou.toFixed(2)}`;
      const line = make("p", "dv-explain-by", "Suppressed by ");
      line.append(number === null ? make("strong", "", text) : makeButton("dv-link", text, () => askWhy(number)));
      item.append(line);
    }
    item.append(details);
    return item;
  }

  return {
    clear: () => begin(""),
    /**
     * @param {ExplainWhyNot} answer
     * @param {Asked} asked the place that was asked about
     * @param {number} [object] that only a slice shows
     */
    showWhyNot({ sentence, places, first_stage: first }, asked, object) {
      begin(sentence);
      if (object !== undefined) {
        const button = makeButton("dv-button dv-primary", "Explain the slice", () => {
          setBusy(button, true);
          explainSlice(object).finally(() => setBusy(button, false));
        });
        ui.explainAnswer.append(button);
      }
      if (places.length) drawPlace(places[0], asked, true);
      else draw([{ box: asked.box, kind: "asked" }]);
      addList(places.some(isFar) ? "The closest candidate" : "Candidates here, best first", places.map((place, i) => placeItem(place, asked, i === 0)));
      if (!first) return;
      const text = `The first stage (RPN, the part that proposes where to look) had ${countedBoxes(first.fitting)} here, and made ${counted(first.proposals, "proposal")} of them.`;
      ui.explainAnswer.append(make("h3", "", "First stage"), make("p", "", text));
      if (first.best) ui.explainAnswer.append(make("p", "dv-explain-reason", `Its best box, with an objectness of ${exactScore(first.best.objectness)}, ${first.best.reason}.`));
    },
    /** @param {ExplainWhy} answer */
    showWhy(answer) {
      begin(answer.sentence);
      const last = answer.refinements.length - 1;
      const drawSteps = () => draw(answer.refinements.map(({ name, box }, i) => ({ box, label: i === last ? `${answer.name} ${exactScore(answer.score)}` : name, kind: i === last ? "candidate" : "step" })));
      drawSteps();
      addList(answer.refinements[0].name === "cell" ? "From cell to box" : "From anchor to box", answer.refinements.map((step, i) => {
        const item = makeButton("dv-explain-pick", "", () => draw(answer.refinements.slice(0, i + 1).map(({ name, box }, k) => ({ box, label: name, kind: k === i ? "candidate" : "step" }))));
        const [rows, columns] = answer.cells;
        item.append(make("strong", "", step.name), ` ${stepText(step)}`, i === 0 ? make("span", "dv-explain-remark", ` · feature map of ${columns}×${rows} cells`) : "");
        return item;
      }));
      const scores = answer.background === null ? answer.scores : [...answer.scores, /** @type {[string, number]} */ (["background", answer.background])];
      addList("Class scores at its place", [...scores].sort((a, b) => b[1] - a[1]).map(([name, score]) => scoreLine(name, score)));
      addList(`Candidates that it suppressed (${answer.suppressed_count.toLocaleString("en")})`, answer.suppressed.map((lost) => {
        const item = makeButton("dv-explain-pick", "", () => draw([
          { box: lost.box, label: `${lost.name} ${exactScore(lost.score)}`, kind: "suppressor" },
          { box: answer.refinements[last].box, label: `${answer.name} ${exactScore(answer.score)}`, kind: "candidate" },
        ]));
        item.append(scoreLine(lost.name, lost.score, `IoU ${lost.iou.toFixed(2)}`));
        return item;
      }), "dv-explain-suppressed");
      addSaliency(ui.explainAnswer, answer);
    },
  };
}
