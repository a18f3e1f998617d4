// A row of the eight colours, one of which is chosen.

import { colorNames } from "./colors.mjs";

export class Swatches {
  #buttons;

  /**
   * @param {HTMLElement} parent
   * @param {"ink" | "solid" | "paper"} use which of the colour's uses is shown
   * @param {(color: number) => void} choose
   */
  constructor(parent, use, choose) {
    this.#buttons = colorNames.map((name, color) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "swatch-button";
      button.dataset.color = color;
      button.setAttribute("aria-label", name);
      button.dataset.tip = name;
      const swatch = document.createElement("span");
      swatch.className = `swatch ${use}`;
      button.append(swatch);
      button.addEventListener("click", () => choose(color));
      return button;
    });
    parent.append(...this.#buttons);
  }

  /** @param {number | undefined} color */
  show(color) {
    this.#buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === color));
  }
}
