// A grouped <select> of all models and the card of the chosen one. value: {selected, models: [{key, title, group, state, ...}]}.
const select = element.querySelector("select");
const card = element.querySelector(".card");
const bestFor = element.querySelector(".best-for");
const details = element.querySelector("details");

const chosen = createChosen(props);
const chosenModel = () => props.value.models.find((model) => model.key === props.value.selected);

function showCard() {
  const model = chosenModel();
  show(details, Boolean(model));
  setText(bestFor, model ? model.best_for : "The file of this model has been removed. Put it back, or choose another model.");
  if (model) card.replaceChildren(...[pillsOf(model), factsOf(model), finePrintOf(model)].filter(Boolean));
}

function pillsOf({ tasks, state, size }) {
  const pills = make("div", "pills");
  for (const task of tasks) pills.append(make("span", "pill", task));
  pills.append(make("span", state === "to download" ? "pill" : "pill ready", state === "to download" ? `${size} download` : state));
  return pills;
}

function factsOf(model) {
  const facts = make("dl");
  for (const [name, value] of model.facts) {
    const fact = make("div");
    fact.append(make("dt", "", name), make("dd", "", value));
    facts.append(fact);
  }
  return facts;
}

function finePrintOf({ metrics_on, recipe }) {
  if (!metrics_on && !recipe) return null;
  const fine = make("p", "fine", metrics_on ? `Measured on ${metrics_on}. ` : "");
  if (recipe) {
    const link = make("a", "", "How it was trained");
    link.href = recipe;
    link.target = "_blank";
    link.rel = "noopener";
    fine.append(link);
  }
  return fine;
}

function draw() {
  fillModelSelect(select, props.value.models, props.value.selected);
  showCard();
}

draw();
// On a phone the facts would push the picture off the screen.
details.open = window.matchMedia("(min-width: 800px)").matches;
watch("value", () => {
  chosen.receive();
  draw();
});
select.addEventListener("change", () => {
  chosen.set(select.value);
  showCard();
  trigger("select", { key: select.value });
});
