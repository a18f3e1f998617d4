// The way back, for those who have moved so far that nothing of the board is in sight.

import { boxOf, meet } from "./geometry.mjs";

/** All that there is is looked at, so not with each frame: in milliseconds. */
const pause = 250;

export class OutOfSight {
  #button;
  #surface;
  #camera;
  #timer;

  /** @param {HTMLElement} button @param {import("./surface.mjs").Surface} surface @param {import("./camera.mjs").Camera} camera @param {() => void} fit */
  constructor(button, surface, camera, fit) {
    this.#button = button;
    this.#surface = surface;
    this.#camera = camera;
    button.addEventListener("click", fit);
    surface.onDrawn(() => {
      this.#timer ??= setTimeout(() => this.#draw(), pause);
    });
  }

  #draw() {
    this.#timer = undefined;
    const { width, height } = this.#surface.size;
    const { zoom } = this.#camera;
    const window = { ...this.#camera.toBoard({ x: 0, y: 0 }), w: width / zoom, h: height / zoom };
    const { order } = this.#surface;
    const isLost = order.length > 0 && !order.some((id) => meet(boxOf(this.#surface.get(id) ?? { ...window, kind: "rect" }), window));
    if (this.#button.hidden === isLost) this.#button.hidden = !isLost;
  }
}
