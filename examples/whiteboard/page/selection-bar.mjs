// What can be done with what is selected: a bar close to it, that does not cover it.

import { Swatches } from "./swatches.mjs";

/** How far the bar is from what it belongs to, and from the window's edges; and how much room the other bars take. */
const distance = 14;
const edge = 12;
const above = 68;
const below = 84;

export class SelectionBar {
  #bar;
  #hands;
  #swatches;
  #isNarrow = matchMedia("(max-width: 640px)");

  /** @param {HTMLElement} bar @param {HTMLElement} colors @param {import("./hands.mjs").Hands} hands @param {(color: number) => void} choose */
  constructor(bar, colors, hands, choose) {
    this.#bar = bar;
    this.#hands = hands;
    this.#swatches = new Swatches(colors, "ink", choose);
    hands.surface.onDrawn(() => this.#draw());
    hands.selection.on(() => hands.surface.redraw());
  }

  #draw() {
    const { selection, surface, camera, shown } = this.#hands;
    const objects = selection.ids.map((id) => shown.get(id)).filter((object) => object);
    const isSeen = objects.length > 0 && !selection.isQuiet;
    if (this.#bar.hidden === isSeen) this.#bar.hidden = !isSeen;
    if (!isSeen) return;
    const colors = new Set(objects.map(({ color }) => color));
    this.#swatches.show(colors.size === 1 ? [...colors][0] : undefined);
    this.#bar.classList.toggle("is-paper", objects.every(({ kind }) => kind === "note"));
    this.#bar.querySelector('[data-do="edit"]').hidden = !(objects.length === 1 && objects[0].kind === "note");
    if (this.#isNarrow.matches) {
      this.#bar.style.translate = "";
      return;
    }
    const box = selection.box;
    const corner = camera.toScreen(box);
    const [width, height] = [this.#bar.offsetWidth, this.#bar.offsetHeight];
    const { width: all, height: tall } = surface.size;
    const bottom = corner.y + box.h * camera.zoom;
    const over = corner.y - height - distance;
    // Over it; or, where there is no room, under it; or at the top.
    const y = over >= above ? over : bottom + distance + height <= tall - below ? bottom + distance : above;
    const x = Math.min(all - width - edge, Math.max(edge, corner.x + (box.w * camera.zoom - width) / 2));
    this.#bar.style.translate = `${Math.round(x)}px ${Math.round(Math.min(y, tall - below - height))}px`;
  }
}
