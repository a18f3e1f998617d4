// What is selected, and how that is shown: a frame around each, and handles where it can be made larger.

import { around, boxOf } from "./geometry.mjs";

const handles = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

/** Above this many, the frame around all of them has to do. */
const mostFrames = 60;

export class Selection {
  #ids = new Set();
  #surface;
  #camera;
  #overlay;
  #heard = new Set();
  #frames = [];
  #frame = div("frame-all");
  #marquee = div("marquee");
  #handles = handles.map((name) => {
    const handle = div("handle");
    handle.dataset.handle = name;
    return handle;
  });
  #isQuiet = false;

  /** @param {import("./surface.mjs").Surface} surface @param {import("./camera.mjs").Camera} camera @param {HTMLElement} overlay */
  constructor(surface, camera, overlay) {
    this.#surface = surface;
    this.#camera = camera;
    this.#overlay = overlay;
    this.#marquee.hidden = true;
    overlay.append(this.#frame, this.#marquee, ...this.#handles);
    surface.onDrawn(() => this.#draw());
  }

  get ids() {
    return [...this.#ids];
  }

  get size() {
    return this.#ids.size;
  }

  has(id) {
    return this.#ids.has(id);
  }

  /** @param {() => void} listener */
  on(listener) {
    this.#heard.add(listener);
  }

  /** @param {Iterable<string>} ids */
  set(ids) {
    const next = new Set(ids);
    if (next.size === this.#ids.size && [...next].every((id) => this.#ids.has(id))) return;
    for (const id of this.#ids) if (!next.has(id)) this.#surface.elementOf(id)?.removeAttribute("aria-current");
    this.#ids = next;
    this.#surface.redraw();
    for (const listener of this.#heard) listener();
  }

  toggle(id) {
    this.set(this.has(id) ? this.ids.filter((other) => other !== id) : [...this.#ids, id]);
  }

  clear() {
    this.set([]);
  }

  /** The box around it, on the board. */
  get box() {
    return around(this.#objects().map(boxOf));
  }

  /** Whether it has handles. A stroke is as large as it was drawn. */
  get canResize() {
    return this.#objects().some(({ kind }) => kind !== "stroke");
  }

  /** Shows a box that is being drawn, on the screen, or none. */
  showMarquee(box) {
    this.#marquee.hidden = !box;
    if (box) put(this.#marquee, box);
  }

  /** Whether it is being dragged, or its text edited: handles and buttons would only be in the way. */
  get isQuiet() {
    return this.#isQuiet;
  }

  set isQuiet(isQuiet) {
    this.#isQuiet = isQuiet;
    this.#surface.redraw();
  }

  #objects() {
    return this.ids.map((id) => this.#surface.get(id)).filter((object) => object !== undefined);
  }

  #draw() {
    // Others may have deleted some of it.
    const there = this.ids.filter((id) => this.#surface.get(id));
    if (there.length < this.#ids.size) this.set(there);
    for (const id of there) this.#surface.elementOf(id)?.setAttribute("aria-current", "true");
    const objects = this.#objects();
    const boxes = objects.length > mostFrames ? [] : objects.map(boxOf);
    while (this.#frames.length < boxes.length) {
      const frame = div("frame");
      this.#frames.push(frame);
      this.#overlay.prepend(frame);
    }
    this.#frames.forEach((frame, i) => {
      frame.hidden = !boxes[i];
      if (boxes[i]) put(frame, this.#onScreen(boxes[i]));
    });
    const all = this.box;
    const box = all && this.#onScreen(all);
    this.#frame.hidden = !box || objects.length < 2;
    if (box) put(this.#frame, box);
    const hasHandles = box && this.canResize && !this.#isQuiet;
    // Where it is small, the corners are enough.
    const isSmall = box && (box.w < 48 || box.h < 48);
    for (const handle of this.#handles) {
      const name = handle.dataset.handle;
      handle.hidden = !hasHandles || (isSmall && name !== "se");
      if (handle.hidden) continue;
      const x = name.includes("w") ? box.x : name.includes("e") ? box.x + box.w : box.x + box.w / 2;
      const y = name.includes("n") ? box.y : name.includes("s") ? box.y + box.h : box.y + box.h / 2;
      handle.style.translate = `${x}px ${y}px`;
      const isSide = name.length === 1;
      handle.classList.toggle("is-side", isSide);
      if (isSide) {
        handle.style.width = `${name === "n" || name === "s" ? Math.max(8, box.w - 24) : 12}px`;
        handle.style.height = `${name === "e" || name === "w" ? Math.max(8, box.h - 24) : 12}px`;
      }
    }
  }

  #onScreen({ x, y, w, h }) {
    const { zoom } = this.#camera;
    return { ...this.#camera.toScreen({ x, y }), w: w * zoom, h: h * zoom };
  }
}

function div(className) {
  const element = document.createElement("div");
  element.className = className;
  return element;
}

function put({ style }, { x, y, w, h }) {
  style.translate = `${x}px ${y}px`;
  style.width = `${w}px`;
  style.height = `${h}px`;
}
