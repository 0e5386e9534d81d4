// What a view keeps while Gradio builds its component anew, which it does when a tab or the component's visibility changes.

/**
 * The name by which a view finds what it kept; its messages to Gradio carry it.
 * @param {Mounting["props"]} props
 * @returns {string}
 */
export function viewIdOf(props) {
  return props.value?.view ?? Math.random().toString(36).slice(2);
}
