// One button an example; a click sends its index.

/** @param {Mounting} mounting */
export function mount({ element, props, trigger }) {
  const strip = /** @type {HTMLElement} */ (element.querySelector(".strip"));
  props.value.examples.forEach((/** @type {{ image: FileData, name: string }} */ example, /** @type {number} */ index) => {
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
