// A grouped <select> of all models and the card of the chosen one. value: {selected, states: {key: "on disk" | ...}}.
const select = element.querySelector("select");
const card = element.querySelector(".card");
const models = new Map(props.models.map((model) => [model.key, model]));

function fillSelect() {
  for (const group of new Set(props.models.map((model) => model.group))) {
    const options = make("optgroup");
    options.label = group;
    for (const model of props.models.filter((candidate) => candidate.group === group)) {
      const option = make("option", "", model.title);
      option.value = model.key;
      options.append(option);
    }
    select.append(options);
  }
}

function showCard() {
  const model = models.get(props.value.selected);
  const state = props.value.states[model.key];
  const pills = make("div", "pills");
  for (const task of model.tasks) pills.append(make("span", "pill", task));
  pills.append(make("span", state === "to download" ? "pill" : "pill ready", state === "to download" ? `${model.size} download` : state));
  const facts = make("dl");
  for (const [name, value] of model.facts) {
    const fact = make("div");
    fact.append(make("dt", "", name), make("dd", "", value));
    facts.append(fact);
  }
  const fine = make("p", "fine", `Measured on ${model.metrics_on}. `);
  if (model.recipe) {
    const link = make("a", "", "How it was trained");
    link.href = model.recipe;
    link.target = "_blank";
    link.rel = "noopener";
    fine.append(link);
  }
  element.querySelector(".best-for").textContent = model.best_for;
  card.replaceChildren(pills, facts, fine);
}

function draw() {
  select.value = props.value.selected;
  showCard();
}

fillSelect();
draw();
// On a phone the facts would push the picture off the screen.
element.querySelector("details").open = window.matchMedia("(min-width: 800px)").matches;
watch("value", draw);
select.addEventListener("change", () => {
  props.value = { ...props.value, selected: select.value };
  showCard();
  trigger("select", { key: select.value });
});
