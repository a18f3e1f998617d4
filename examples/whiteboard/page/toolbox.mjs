// Which tool is at hand, and with what colour and how thick a pen. Notes have a colour of their own: nobody wants to write on what they draw with.

import { keep, recall } from "./storage.mjs";
import { Swatches } from "./swatches.mjs";

const place = "whiteboard.style";
const widths = [
  { width: 3, name: "Thin" },
  { width: 6, name: "Medium" },
  { width: 14, name: "Thick" },
];

export class Toolbox {
  #name = "select";
  #elements;
  #heard = new Set();
  #inks;
  #widths;
  #style = { ink: 6, note: 3, width: 6, ...read() };

  /** @param {{ tools: HTMLElement, ink: HTMLElement, colors: HTMLElement, widths: HTMLElement }} elements */
  constructor(elements) {
    this.#elements = elements;
    this.#inks = new Swatches(elements.colors, "ink", (color) => this.setColor(color));
    this.#widths = widths.map(({ width, name }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", name);
      button.dataset.tip = name;
      button.dataset.width = width;
      button.append(document.createElement("span"));
      button.addEventListener("click", () => this.#set({ width }));
      return button;
    });
    elements.widths.append(...this.#widths);
    elements.tools.addEventListener("click", ({ target }) => {
      const tool = target.closest("[data-tool]")?.dataset.tool;
      if (tool) this.choose(tool);
    });
    this.#draw();
  }

  get name() {
    return this.#name;
  }

  /** Of what is drawn next. */
  get color() {
    return this.#style.ink;
  }

  /** Of the next note. */
  get noteColor() {
    return this.#style.note;
  }

  get width() {
    return this.#style.width;
  }

  /** @param {() => void} listener */
  on(listener) {
    this.#heard.add(listener);
  }

  choose(name) {
    this.#name = name;
    this.#draw();
    for (const listener of this.#heard) listener();
  }

  /** The colour of what comes next, with the tool at hand. */
  setColor(color) {
    this.#set(this.#name === "note" ? { note: color } : { ink: color });
  }

  /** A selected object has got this colour: the next of its kind has it, too. */
  learn(kind, color) {
    this.#set(kind === "note" ? { note: color } : { ink: color });
  }

  #set(style) {
    Object.assign(this.#style, style);
    keep(place, this.#style);
    this.#draw();
  }

  #draw() {
    for (const button of this.#elements.tools.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === this.#name);
    const color = this.#name === "note" ? this.#style.note : this.#style.ink;
    this.#elements.ink.dataset.color = color;
    this.#elements.ink.classList.toggle("is-paper", this.#name === "note");
    this.#inks.show(color);
    for (const button of this.#widths) button.setAttribute("aria-pressed", Number(button.dataset.width) === this.#style.width);
  }
}

function read() {
  const { ink, note, width } = recall(place) ?? {};
  const isColor = (value) => Number.isInteger(value) && value >= 0 && value < 8;
  return {
    ...(isColor(ink) && { ink }),
    ...(isColor(note) && { note }),
    ...(widths.some((each) => each.width === width) && { width }),
  };
}
