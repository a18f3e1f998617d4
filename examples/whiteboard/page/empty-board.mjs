// What is said where nothing is: how to begin, until there is something, or why nothing is seen.

export class EmptyBoard {
  #element;
  #surface;

  /** @param {HTMLElement} element @param {import("./surface.mjs").Surface} surface @param {string} [words] */
  constructor(element, surface, words) {
    this.#element = element;
    this.#surface = surface;
    const title = document.createElement("p");
    title.className = "empty-title";
    title.textContent = words ?? "An empty board";
    const hint = document.createElement("p");
    hint.textContent = words ? "What others do appears here." : `${matchMedia("(pointer: coarse)").matches ? "Tap twice" : "Double-click"} for a note, or take a pen from below. Whoever has the address can join.`;
    element.append(title, hint);
    surface.onDrawn(() => this.#draw());
  }

  #draw() {
    const isEmpty = this.#surface.order.length === 0 && this.#element.parentElement.classList.contains("is-loaded");
    if (this.#element.hidden === isEmpty) this.#element.hidden = !isEmpty;
  }
}
