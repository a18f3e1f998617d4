// What others are drawing and dragging just now. It is volatile: whatever is not told to have ended is taken away after a while.

import { strokePath } from "./stroke.mjs";

const svg = "http://www.w3.org/2000/svg";

/** How long a preview stays without news, in milliseconds. */
const lifetime = 5_000;

/**
 * So much of one user is shown, and of all: the newest. A hand draws one stroke at a time and drags a dozen objects, or leaves them to be told
 * when they lie; whoever begins ever new ones must not fill the page.
 */
const mostOfOne = 24;
const most = 300;

export class Previews {
  #surface;
  #shown;
  #me;
  /** @type {Map<string, { by: string, timer: number, drawing?: SVGElement }>} */
  #previews = new Map();
  #drawers = "";
  #heard;

  /**
   * @param {import("./surface.mjs").Surface} surface
   * @param {import("./shown.mjs").Shown} shown
   * @param {string} me
   * @param {() => void} [changed] others draw, or not
   */
  constructor(surface, shown, me, changed = () => {}) {
    this.#surface = surface;
    this.#shown = shown;
    this.#me = me;
    this.#heard = changed;
    // What the log tells needs no preview, and the word that it has ended may be lost.
    shown.on((ids) => {
      for (const id of ids) if (this.#previews.has(id) && shown.get(id)) this.#drop(id);
    });
  }

  /** Who draws, or drags. @returns {Set<string>} */
  get drawers() {
    return new Set([...this.#previews.values()].map(({ by }) => by));
  }

  /** @param {any} message */
  take({ id, by, end, props, kind, color, width, points }) {
    if (by === this.#me || typeof id !== "string") return;
    // The log may tell where it lies a moment later: it stays there until then.
    if (end) return this.#expire(id, 400);
    if (props) this.#drag(id, props, by);
    else if (kind === "stroke" && Array.isArray(points) && points.every(Number.isFinite) && !this.#shown.get(id)) this.#draw(id, { color, width, points }, by);
  }

  /** Somebody is gone. */
  forget(isHere) {
    for (const [id, { by }] of this.#previews) if (!isHere(by)) this.#drop(id);
  }

  #drag(id, { x, y, w, h }, by) {
    const object = this.#shown.get(id);
    if (!object || !Number.isFinite(x) || !Number.isFinite(y)) return;
    const isSized = object.kind !== "stroke" && Number.isFinite(w) && Number.isFinite(h);
    this.#surface.preview(id, isSized ? { x, y, w, h } : { x, y }, "other");
    this.#keep(id, { by });
  }

  #draw(id, { color, width, points }, by) {
    let drawing = this.#previews.get(id)?.drawing;
    if (!drawing) {
      drawing = document.createElementNS(svg, "svg");
      drawing.classList.add("drawing");
      drawing.append(document.createElementNS(svg, "path"));
      this.#surface.above.append(drawing);
    }
    drawing.dataset.color = color;
    drawing.firstChild.style.setProperty("--pen", `${width}px`);
    drawing.firstChild.setAttribute("d", strokePath(points));
    this.#keep(id, { by, drawing });
  }

  #keep(id, preview) {
    clearTimeout(this.#previews.get(id)?.timer);
    // To the end of the order: what was told last is the newest.
    this.#previews.delete(id);
    this.#previews.set(id, { ...preview, timer: setTimeout(() => this.#drop(id), lifetime) });
    const ofOne = [...this.#previews].filter(([, { by }]) => by === preview.by);
    if (ofOne.length > mostOfOne) this.#drop(ofOne[0][0]);
    if (this.#previews.size > most) this.#drop(this.#previews.keys().next().value);
    this.#tell();
  }

  #expire(id, milliseconds) {
    const preview = this.#previews.get(id);
    if (!preview) return;
    clearTimeout(preview.timer);
    preview.timer = setTimeout(() => this.#drop(id), milliseconds);
  }

  #drop(id) {
    const preview = this.#previews.get(id);
    if (!preview) return;
    clearTimeout(preview.timer);
    this.#previews.delete(id);
    preview.drawing?.remove();
    if (!preview.drawing) this.#surface.preview(id, undefined, "other");
    this.#tell();
  }

  #tell() {
    const drawers = [...this.drawers].join();
    if (drawers === this.#drawers) return;
    this.#drawers = drawers;
    this.#heard();
  }
}
