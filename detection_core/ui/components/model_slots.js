// Two to four grouped selects of models. value: {selected: [key, ...], least, most, models: [{key, title, group, state, size, facts, ...}]}.

const list = element.querySelector("ol");
const add = element.querySelector(".add");
const chosen = createChosen(props);

function draw() {
  const { selected, models, least, most } = props.value;
  while (list.children.length > selected.length) list.lastChild.remove();
  while (list.children.length < selected.length) list.append(buildSlot());
  selected.forEach((key, index) => drawSlot(list.children[index], key, index, models, selected.length > least));
  show(add, selected.length < most);
}

function buildSlot() {
  const slot = make("li");
  const choice = make("div", "choice");
  const select = make("select");
  select.addEventListener("change", () => choose(replaced(indexOf(slot), select.value)));
  choice.append(select);
  const remove = makeButton("remove", "", () => removeSlot(slot));
  const cross = makeSvg("svg", "", remove);
  cross.setAttribute("viewBox", "0 0 16 16");
  cross.setAttribute("aria-hidden", "true");
  makeSvg("path", "", cross).setAttribute("d", "M4 4l8 8M12 4l-8 8");
  slot.append(make("span", "letter"), choice, remove, make("p", "facts"));
  return slot;
}

function drawSlot(slot, key, index, models, removable) {
  const [letter, choice, remove, facts] = slot.children;
  const model = models.find((other) => other.key === key);
  const name = `Model ${String.fromCharCode(65 + index)}`;
  setText(letter, name.slice(-1));
  setAttribute(choice.firstChild, "aria-label", name);
  setAttribute(remove, "aria-label", `Remove model ${name.slice(-1)}`);
  fillModelSelect(choice.firstChild, models, key);
  remove.disabled = !removable;
  setText(facts, model ? factsOf(model) : "The file of this model has been removed.");
}

function factsOf({ tasks, facts, state, size }) {
  const accuracy = facts.find(([name]) => name === "Box AP");
  return [tasks.join(", "), accuracy?.join(" "), state === "to download" ? `${size} download` : ""].filter(Boolean).join(" · ");
}

const indexOf = (slot) => [...list.children].indexOf(slot);

/** A model that another slot has already changes places with the one that was here. */
function replaced(index, key) {
  const { selected } = props.value;
  return selected.map((other, i) => (i === index ? key : other === key ? selected[index] : other));
}

function choose(selected) {
  chosen.set(selected);
  draw();
  trigger("select", { keys: selected });
}

function removeSlot(slot) {
  const index = indexOf(slot);
  choose(props.value.selected.filter((_, i) => i !== index));
  // The button has gone with its slot.
  list.children[Math.min(index, list.children.length - 1)].querySelector("select").focus();
}

/** The first model that is here already and not yet chosen, or any other: adding must not entail a download without need. */
function nextModel() {
  const { models, selected } = props.value;
  const free = models.filter(({ key }) => !selected.includes(key));
  return (free.find(({ state }) => state !== "to download") ?? free[0] ?? models[0]).key;
}

add.addEventListener("click", () => {
  choose([...props.value.selected, nextModel()]);
  list.lastChild.querySelector("select").focus();
});
draw();
watch("value", () => {
  chosen.receive();
  draw();
});
