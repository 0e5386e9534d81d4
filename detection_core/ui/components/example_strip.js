// One button an example; a click tells its index.

export function mount({ element, props, trigger, server, upload, watch, constants }) {
  const strip = element.querySelector(".strip");
  props.value.examples.forEach((example, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = example.name;
    button.setAttribute("aria-label", example.name);
    const image = document.createElement("img");
    image.src = example.image.url;
    image.alt = "";
    button.append(image);
    button.addEventListener("click", () => trigger("select", { index }));
    strip.append(button);
  });
}
