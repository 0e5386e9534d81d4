// What was counted in a video: the chart, its legend at the time that is shown, and a chip per class.

import { createChips, toggled } from "../components/js/controls.js";
import { formatScore, make, setText, show } from "../components/js/dom.js";
import { createVideoChart } from "./chart.js";
import { frameAt, seriesLines } from "./series.js";

/**
 * @param {Refs} ui
 * @param {import("./state.js").VideoState} state
 * @param {{ onSeek: (seconds: number) => void, onToggle: () => void, onChange: (patch: Record<string, any>) => void }} handlers
 */
export function createVideoCounts(ui, state, { onSeek, onToggle, onChange }) {
  const chart = createVideoChart(ui.track, { onSeek, onToggle });
  const chips = createChips(ui.chips, ui.bulk, {
    onToggle: (name) => onChange({ hidden_classes: toggled(state.settings.hidden_classes, name) }),
    onAll: (on) => onChange({ hidden_classes: on ? [] : (state.outcome?.classes ?? []).map(({ name }) => name) }),
  });
  /** @type {{ outcome?: VideoOutcome | null, hidden?: string[] }} */
  let charted = {};
  /** @type {ReturnType<typeof makeLegendItem>[]} */
  let legend = [];

  /** The chart shows at once which classes are on; the video follows when it is drawn again. Gives whether anything has changed. */
  function draw() {
    const { outcome, source, settings } = state;
    show(ui.counts, Boolean(outcome));
    const { hidden_classes: hidden } = settings;
    if (charted.outcome === outcome && charted.hidden === hidden) return false;
    drawChips();
    charted = { outcome, hidden };
    const lines = seriesLines(state.shownClasses());
    chart.setSeries(outcome && { times: outcome.times, lines, seconds: source?.facts?.seconds ?? 0 });
    legend = lines.map(makeLegendItem);
    ui.legend.replaceChildren(...legend.map(({ item }) => item));
    const nothing = outcome?.classes.length ? "All classes are switched off." : `Nothing above ${formatScore(outcome?.threshold ?? 0)}. Lower the threshold and draw again.`;
    if (outcome && !lines.length) ui.legend.append(make("li", "vv-nothing", nothing));
    setTime(state.time);
    return true;
  }

  /** How many there are of each class, by which it is switched off and on. */
  function drawChips() {
    const { outcome, settings } = state;
    show(ui.classChoice, Boolean(outcome?.classes.length));
    if (!outcome) return;
    const { classes, track } = outcome;
    if (charted.outcome !== outcome) {
      const colors = new Map(classes.map(({ name, color }) => [name, color]));
      chips.build([...colors.keys()], (name) => name, (name) => colors.get(name) ?? null);
    }
    chips.update(new Map(classes.map((each) => [each.name, numberOf(each)])), new Set(settings.hidden_classes));
    setText(ui.classWords, track ? "How many different ones there are in the video." : "The most at a time.");
  }

  /** @param {number} time in seconds */
  function setTime(time) {
    if (!state.outcome) return;
    chart.setTime(time);
    const index = frameAt(state.outcome.times, time);
    for (const { now, line } of legend) {
      const n = line.counts[index] ?? 0;
      setText(now, `${n} ${n === 1 ? line.name : line.plural}`);
    }
  }

  return { draw, setTime };
}

/** How many of a class there are in the video, or the most at a time if they are not tracked. @param {VideoClass} found */
function numberOf({ counts, total }) {
  return total ?? counts.reduce((most, n) => Math.max(most, n), 0);
}

/** @param {VideoClass} line */
function makeLegendItem(line) {
  const item = make("li");
  const [swatch, now, total] = [make("span", "dv-swatch"), make("strong"), make("span")];
  swatch.style.background = line.color;
  item.append(swatch, now, total);
  if (line.total !== null) setText(total, `${line.total} in all`);
  if (line.total !== null) item.title = `${line.total} different ${line.total === 1 ? line.name : line.plural} in the whole video`;
  return { item, now, line };
}

/**
 * "3 persons and 1 dog in the video", or the most at a time if they are not tracked.
 * @param {VideoClass[]} classes
 * @param {boolean} track whether objects were followed
 */
export function inTotal(classes, track) {
  const words = classes.slice(0, 5).map((each) => `${numberOf(each)} ${numberOf(each) === 1 ? each.name : each.plural}`).join(", ");
  return words ? `${words} ${track ? "in all" : "at most at a time"}` : "nothing found";
}
