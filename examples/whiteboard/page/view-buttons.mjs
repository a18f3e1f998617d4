// Where one looks from, by button and key.

import { boxOf } from "./geometry.mjs";

export class ViewButtons {
  #camera;
  #surface;
  #moved;

  /** @param {import("./camera.mjs").Camera} camera @param {import("./surface.mjs").Surface} surface @param {HTMLElement} figure @param {() => void} [moved] */
  constructor(camera, surface, figure, moved = () => {}) {
    this.#camera = camera;
    this.#surface = surface;
    this.#moved = moved;
    camera.on(() => {
      const words = `${Math.round(camera.zoom * 100)}%`;
      if (figure.textContent !== words) figure.textContent = words;
    });
  }

  get middle() {
    const { width, height } = this.#surface.size;
    return { x: width / 2, y: height / 2 };
  }

  zoomBy(factor) {
    this.#moved();
    this.#camera.zoomTo(this.#camera.zoom * factor, this.middle);
  }

  reset() {
    this.#moved();
    this.#camera.zoomTo(1, this.middle);
  }

  fit() {
    this.#moved();
    const box = this.#surface.extent;
    if (box) this.#camera.fit(box, this.#surface.size);
    else this.#camera.centre({ x: 0, y: 0 }, this.#surface.size, 1);
  }

  /** Brings an object into sight. What others have just deleted is none any more. @param {import("./board.mjs").BoardObject | undefined} object */
  revealObject(object) {
    if (object) this.reveal(boxOf(object));
  }

  /** Brings a box into sight, if it is not. @param {import("./geometry.mjs").Box} box */
  reveal(box, margin = 90) {
    const corner = this.#camera.toScreen(box);
    const { zoom } = this.#camera;
    const { width, height } = this.#surface.size;
    const isSeen =
      corner.x >= 0 && corner.y >= margin / 2 && corner.x + box.w * zoom <= width && corner.y + box.h * zoom <= height - margin / 2;
    if (isSeen) return;
    this.#moved();
    if (box.w * zoom > width || box.h * zoom > height - margin) this.#camera.fit(box, this.#surface.size, margin);
    else this.#camera.centre({ x: box.x + box.w / 2, y: box.y + box.h / 2 }, this.#surface.size);
  }
}
