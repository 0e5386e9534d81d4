// The video as it is seen: its name and facts, and one of its two versions in the player.

import { createChoice } from "../components/js/controls.js";
import { setAttribute, setText, show } from "../components/js/dom.js";
import { inTotal } from "./counts.js";
import { createVideoPlayer } from "./player.js";
import { factsInWords, fileSize } from "./words.js";

/**
 * @param {Refs} ui
 * @param {import("./state.js").VideoState} state
 * @param {{ onTime: (seconds: number) => void, onVersion: () => void }} handlers
 */
export function createScreen(ui, state, { onTime, onVersion }) {
  const player = createVideoPlayer(ui.video, onTime, explainUnplayable);
  const versions = createChoice(ui.versions, (shown) => {
    state.shown = shown;
    onVersion();
  });

  function draw() {
    const { source, outcome } = state;
    for (const part of [ui.toolbar, ui.screen]) show(part, Boolean(source));
    show(ui.versions, Boolean(outcome));
    if (!source) return player.clear();
    const { name, size, facts, url } = source;
    setText(ui.name, name);
    ui.name.title = name;
    setText(ui.facts, [facts ? factsInWords(facts) : "Reading the file", size ? fileSize(size) : ""].filter(Boolean).join(" · "));
    if (facts) {
      ui.screen.style.setProperty("--aspect", `${facts.width} / ${facts.height}`);
      // For browsers that cannot play the file.
      setAttribute(ui.video, "poster", facts.poster);
    }
    versions.update(state.shown);
    drawVideo(url);
  }

  /** @param {string} original address of the video as it came */
  function drawVideo(original) {
    const annotated = state.shown === "annotated" ? state.outcome : null;
    const url = annotated?.file.url ?? original;
    if (ui.video.getAttribute("src") === url) return;
    show(ui.unplayable, false);
    setAttribute(ui.video, "aria-label", annotated ? `The annotated video: ${inTotal(state.shownClasses(), annotated.track)}` : "The video");
    player.show(url, state.time);
  }

  function explainUnplayable() {
    if (!state.source) return;
    show(ui.unplayable, true);
    const isGone = state.shown === "annotated" && state.outcome;
    setText(ui.unplayable, isGone
      ? "The video is no longer on the server. Run Detect again."
      : "Your browser does not play files of this kind. The annotated video will be one that it plays.");
  }

  return { draw, seek: player.seek, toggle: player.toggle };
}
