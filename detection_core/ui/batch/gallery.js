// The gallery: one card a picture with its boxes drawn over a thumbnail, its counts, or the reason why there is none.

const CARD_STATES = { waiting: "Waiting", uploading: "Uploading", looking: "Looking" };
const KINDS_ON_CARD = 3;

/** @param handlers {onOpen(picture), onSelect(picture, selected)} */
function createGallery(list, { onOpen, onSelect }) {
  const cards = new Map();
  // Boxes are drawn on cards that are on the screen, or nearly: on all two hundred it would take too long.
  const observer = new IntersectionObserver(look, { rootMargin: "400px" });

  function look(entries) {
    for (const { target, isIntersecting } of entries) {
      const card = [...cards.values()].find((one) => one.card === target);
      if (!card) continue;
      card.isNear = isIntersecting;
      if (isIntersecting) drawBoxes(card);
    }
  }

  function makeCard(picture) {
    const card = make("li", "bv-card");
    const open = makeButton("bv-open", "", () => picture.state === "done" && onOpen(picture));
    const frame = make("span", "bv-frame");
    const image = make("img");
    image.alt = "";
    image.draggable = false;
    const drawing = makeSvg("svg", "dv-overlay", frame);
    const state = make("span", "bv-state");
    const name = make("span", "bv-name", picture.name.split("/").at(-1));
    const words = make("span", "bv-words");
    frame.prepend(image);
    frame.append(state);
    open.append(frame, name, words);
    open.title = picture.name;
    const tick = makeTick(picture, onSelect);
    card.append(open, tick.label);
    observer.observe(card);
    return { card, open, image, drawing, state, words, tick, isNear: false, result: null, visible: 0, drawn: null };
  }

  function update(card, picture, threshold, categories) {
    const { state, result } = picture;
    const visible = visibleCount(picture, threshold);
    card.card.dataset.state = state;
    card.open.setAttribute("aria-disabled", state !== "done");
    show(card.image, Boolean(result));
    if (result && card.result !== result) card.image.src = result.thumbnail;
    Object.assign(card, { result, visible });
    if (card.isNear) drawBoxes(card);
    setText(card.state, CARD_STATES[state] ?? (state === "failed" ? "Failed" : ""));
    setText(card.words, wordsOf(picture, visible, categories));
    card.tick.update(picture);
  }

  return {
    draw(pictures, threshold, categories) {
      for (const [picture, { card }] of cards) {
        if (pictures.includes(picture)) continue;
        observer.unobserve(card);
        card.remove();
        cards.delete(picture);
      }
      for (const picture of pictures) {
        if (!cards.has(picture)) {
          cards.set(picture, makeCard(picture));
          list.append(cards.get(picture).card);
        }
        update(cards.get(picture), picture, threshold, categories);
      }
    },
  };
}

function wordsOf(picture, visible, categories) {
  if (picture.state === "failed") return picture.error;
  return picture.result ? inWords(addCounts(new Map(), picture, visible), categories, KINDS_ON_CARD) : "";
}

/** Draws what is to be seen of a card's result, unless it is drawn already; one path a colour, because nodes are dear. */
function drawBoxes(card) {
  const { drawing, result, visible, drawn } = card;
  if (drawn?.result === result && drawn.visible === visible) return;
  card.drawn = { result, visible };
  const paths = new Map();
  for (const { color, box } of result?.objects.slice(0, visible) ?? []) paths.set(color, (paths.get(color) ?? "") + boxToPath(box));
  drawing.setAttribute("viewBox", `0 0 ${result?.width ?? 1} ${result?.height ?? 1}`);
  drawing.replaceChildren();
  for (const [color, path] of paths) {
    const group = makeSvg("g", "", drawing);
    group.style.setProperty("--color", color);
    makeSvg("path", "dv-halo", group).setAttribute("d", path);
    makeSvg("path", "dv-line", group).setAttribute("d", path);
  }
}

/** A checkbox that says which picture it chooses: {label, update(picture)}. */
function makeTick(picture, onSelect) {
  const label = make("label", "bv-tick");
  const input = make("input");
  input.type = "checkbox";
  input.setAttribute("aria-label", `Choose ${picture.name}`);
  input.addEventListener("change", () => onSelect(picture, input.checked));
  label.append(input);
  return {
    label,
    update: ({ selected }) => {
      input.checked = selected;
    },
  };
}
