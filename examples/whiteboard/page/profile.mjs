// What the user is called, and has for a colour.

import { nameProblem, saveIdentity } from "./identity.mjs";
import { letter } from "./people.mjs";
import { Swatches } from "./swatches.mjs";

export class Profile {
  #elements;
  #identity;
  #color;
  #swatches;
  #changed;

  /**
   * @param {{ button: HTMLElement, popover: HTMLElement, form: HTMLFormElement, name: HTMLInputElement, problem: HTMLElement, colors: HTMLElement }} elements
   * @param {import("./identity.mjs").Identity} identity
   * @param {() => void} changed
   */
  constructor(elements, identity, changed) {
    this.#elements = elements;
    this.#identity = identity;
    this.#changed = changed;
    this.#swatches = new Swatches(elements.colors, "solid", (color) => this.#choose(color));
    elements.popover.addEventListener("toggle", ({ newState }) => newState === "open" && this.#fill());
    elements.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    this.#draw();
  }

  get identity() {
    return this.#identity;
  }

  #fill() {
    this.#elements.name.value = this.#identity.name;
    this.#elements.problem.textContent = "";
    this.#choose(this.#identity.color);
    this.#elements.name.select();
  }

  #choose(color) {
    this.#color = color;
    this.#swatches.show(color);
  }

  #save() {
    const name = this.#elements.name.value.trim();
    const problem = nameProblem(name);
    this.#elements.problem.textContent = problem ?? "";
    if (problem !== undefined) return this.#elements.name.focus();
    this.#elements.popover.hidePopover();
    if (name === this.#identity.name && this.#color === this.#identity.color) return;
    this.#identity = { ...this.#identity, name, color: this.#color };
    saveIdentity(this.#identity);
    this.#draw();
    this.#changed();
  }

  #draw() {
    const { button } = this.#elements;
    const { name, color } = this.#identity;
    button.dataset.color = color;
    letter(button, name, `You are ${name}. Change name and colour`);
  }
}
