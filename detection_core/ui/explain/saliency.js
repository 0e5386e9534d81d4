// The saliency maps of an object, a quick and a thorough one: the cost is shown before; the thorough one shows its progress and can be cancelled.

import { make, makeButton, setText, show } from "../components/js/dom.js";
import { aboutTime } from "./words.js";

// What the quick map takes, in runs of the model: the way back costs about twice the way forward.
const QUICK_RUNS = 3;

/**
 * @param {{
 *   call: (name: string, sent: Record<string, any>) => Promise<any>,
 *   drawImage: (url: string) => void,
 * }} mode
 */
export function createSaliency({ call, drawImage }) {
  let latest = 0;
  let isRunning = false;

  /** Ends what is running, here and on the server. */
  function stop() {
    latest += 1;
    if (isRunning) call("saliency_stop", {});
    isRunning = false;
  }

  /** @param {HTMLElement} parent @param {ExplainWhy} why @param {ExplainStart} session */
  function add(parent, why, session) {
    const masks = Object.assign(make("select"), { ariaLabel: "Runs of the model" });
    masks.append(...session.masks.map((n) => Object.assign(make("option", "", `${n.toLocaleString("en")} runs`), { value: String(n) })));
    const [quickCost, cost] = [make("p", "dv-hint"), make("p", "dv-hint")];
    let seconds = 0;
    function describe() {
      const runs = Number(masks.value);
      /** @param {number} count of runs */
      const time = (count) => (seconds ? `${aboutTime(count * seconds)} here, if no other images are waiting` : "measuring how long that takes …");
      setText(quickCost, `Quick: how much each part of the image affects this object's score, by its gradient (NormGrad). The model runs once, forward and back: ${time(QUICK_RUNS)}.`);
      setText(cost, `Thorough: the model runs ${runs.toLocaleString("en")} times with random parts of the image hidden (D-RISE): ${time(runs)}. More runs make the map smoother.`);
      begin.disabled = quick.disabled = !seconds;
    }
    const state = make("p", "dv-explain-state");
    state.setAttribute("role", "status");
    const progress = Object.assign(make("progress", "dv-explain-progress"), { max: 1, value: 0, ariaLabel: "Saliency map" });
    const quick = makeButton("dv-button", "Quick", () => computeQuick());
    const begin = makeButton("dv-button", "Thorough (D-RISE)", () => compute());
    const cancel = makeButton("dv-button", "Cancel", () => {
      stop();
      setBusy(false);
      setText(state, "Cancelled.");
    });
    const line = make("div", "dv-explain-buttons");
    line.append(masks, begin, cancel);
    parent.append(make("h3", "", "Which pixels support it? (saliency map)"), quickCost, quick, cost, line, progress, state);
    masks.addEventListener("change", describe);

    /** @param {boolean} busy */
    function setBusy(busy) {
      for (const part of [cancel, progress]) show(part, busy);
      show(begin, !busy);
      masks.disabled = busy;
    }

    async function computeQuick() {
      stop();
      const turn = latest;
      setBusy(false);
      progress.value = 0;
      setText(state, "Computing …");
      const answer = await call("saliency_quick", { number: why.number });
      if (turn !== latest) return;
      setText(state, answer.error ?? "Bright parts affect this object's score most.");
      if (answer.image) drawImage(answer.image);
    }

    async function compute() {
      stop();
      const turn = latest;
      isRunning = true;
      setBusy(true);
      setText(state, "Waiting to begin …");
      let answer = await call("saliency_begin", { number: why.number, masks: Number(masks.value) });
      while (turn === latest && !answer.error && !answer.image) {
        progress.value = answer.done / answer.total;
        if (answer.left !== null) setText(state, `${answer.done.toLocaleString("en")} of ${answer.total.toLocaleString("en")} runs, ${aboutTime(answer.left)} left`);
        answer = await call("saliency_watch", {});
      }
      if (turn !== latest) return;
      isRunning = false;
      setBusy(false);
      setText(state, answer.error ?? "Bright parts support this object most; dark parts could be hidden without harm.");
      if (answer.image) drawImage(answer.image);
    }

    describe();
    setBusy(false);
    call("saliency_cost", {}).then((answer) => {
      seconds = answer.seconds ?? 0;
      if (answer.error) setText(cost, "How long it takes is not known yet.");
      else describe();
    });
  }

  return { add, stop };
}
