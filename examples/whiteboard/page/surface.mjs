// The surface: all that is on the board, in the order of its depth, seen by a camera.

import { ElementView } from "./element-view.mjs";
import { around, boxOf } from "./geometry.mjs";

/** How far apart the grid's dots are. */
const grid = 24;

export class Surface {
  #root;
  #world;
  #shown;
  #camera;
  /** @type {Map<string, ElementView>} */
  #views = new Map();
  /** Ids in the order of their depth. @type {string[]} */
  #order = [];
  #depths = new Map();
  #dirty = new Set();
  /** What is shown otherwise for a while: dragged, by the user or by others. @type {Map<string, { props: object, by: "me" | "other" }>} */
  #previews = new Map();
  /** What lies over the elements, and moves and grows with them. */
  #above = document.createElement("div");
  #isScheduled = false;
  #hasMoved = true;
  #heard = new Set();
  #editorOf;
  #covered;
  #size = { width: 0, height: 0 };
  /** How thin a line may be, in the board's units, and still be seen. */
  #thinnest = 0;

  /**
   * @param {{ root: HTMLElement, world: HTMLElement }} elements
   * @param {import("./shown.mjs").Shown} shown
   * @param {import("./camera.mjs").Camera} camera
   * @param {(id: string | null) => string | undefined} editorOf the name of somebody else who edits
   * @param {() => number} covered how much of its right side something lies over, in pixels
   */
  constructor({ root, world }, shown, camera, editorOf, covered) {
    this.#covered = covered;
    this.#root = root;
    this.#world = world;
    this.#shown = shown;
    this.#camera = camera;
    this.#editorOf = editorOf;
    this.#above.className = "above";
    world.append(this.#above);
    shown.on((ids) => this.touch(ids));
    camera.on(() => {
      this.#hasMoved = true;
      this.#schedule();
    });
    this.#measure();
    new ResizeObserver(() => {
      this.#measure();
      camera.pan(0, 0);
    }).observe(root);
    this.#schedule();
  }

  /** What is seen of it, in pixels: without what the side panel or a phone's keyboard covers. */
  get size() {
    const { width, height } = this.#size;
    return { width: width - this.#covered(), height: Math.min(height, globalThis.visualViewport?.height ?? height) };
  }

  get above() {
    return this.#above;
  }

  /** Ids of all that is seen, from behind to the front. */
  get order() {
    return this.#order;
  }

  /** The object as it is drawn: where it is being dragged, there. @param {string} id */
  get(id) {
    const object = this.#shown.get(id);
    const preview = this.#previews.get(id);
    return object && preview ? { ...object, ...preview.props } : object;
  }

  /** The box around all that there is. */
  get extent() {
    return around(this.#order.map((id) => boxOf(this.get(id) ?? { kind: "rect", x: 0, y: 0, w: 0, h: 0 })));
  }

  /** @param {() => void} listener after each drawing */
  onDrawn(listener) {
    this.#heard.add(listener);
  }

  /** @param {{ clientX: number, clientY: number }} event @returns where it is on the screen, from the surface's corner */
  pointOf({ clientX, clientY }) {
    const { left, top } = this.#root.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }

  /** The id of the object that an element belongs to. @param {EventTarget | null} target @returns {string | undefined} */
  idOf(target) {
    return target instanceof Element ? target.closest("[data-id]")?.dataset.id : undefined;
  }

  elementOf(id) {
    return this.#views.get(id)?.element;
  }

  /** These may have changed. @param {Iterable<string>} ids */
  touch(ids) {
    for (const id of ids) this.#dirty.add(id);
    this.#schedule();
  }

  /** All may be named otherwise. */
  touchAll() {
    this.touch(this.#views.keys());
  }

  /** Shows an object otherwise, or as it is again. What the user has in hand is where the user has it. @param {object | undefined} props @param {"me" | "other"} [by] */
  preview(id, props, by = "me") {
    const now = this.#previews.get(id)?.by;
    if (props && (by === "me" || now !== "me")) this.#previews.set(id, { props, by });
    else if (!props && now === by) this.#previews.delete(id);
    this.touch([id]);
  }

  /** Something that is drawn over the board, but not by this. */
  redraw() {
    this.#schedule();
  }

  /** Once for each size: to ask the browser in every frame would have it lay out all of it. */
  #measure() {
    this.#size = { width: this.#root.clientWidth, height: this.#root.clientHeight };
  }

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#draw();
    });
  }

  #draw() {
    if (this.#hasMoved) this.#look();
    for (const id of this.#dirty) this.#update(id);
    this.#dirty.clear();
    for (const listener of this.#heard) listener();
  }

  #look() {
    this.#hasMoved = false;
    const { x, y, zoom } = this.#camera;
    this.#world.style.transform = `translate(${-x * zoom}px, ${-y * zoom}px) scale(${zoom})`;
    // In steps: for each of them every line is styled anew.
    const thinnest = zoom < 0.5 ? 2 ** Math.ceil(-Math.log2(zoom)) : 0;
    if (thinnest !== this.#thinnest) this.#world.style.setProperty("--thinnest", `${thinnest}px`);
    this.#thinnest = thinnest;
    // Dots that come too close are left out, and come back.
    const step = grid * zoom * 2 ** Math.max(0, Math.ceil(Math.log2(16 / (grid * zoom))));
    this.#root.style.backgroundSize = `${step}px ${step}px`;
    this.#root.style.backgroundPosition = `${-x * zoom - step / 2}px ${-y * zoom - step / 2}px`;
  }

  #update(id) {
    const object = this.get(id);
    if (!object) return this.#remove(id);
    let view = this.#views.get(id);
    if (!view) {
      view = new ElementView(id, object);
      this.#views.set(id, view);
    }
    view.element.classList.toggle("is-moved-by-other", this.#previews.get(id)?.by === "other");
    view.update(object, this.#editorOf(object.editing));
    if (this.#depths.get(id) !== object.z) this.#sort(id, view.element, object.z);
  }

  #remove(id) {
    const view = this.#views.get(id);
    if (!view) return;
    const hadFocus = view.element === document.activeElement;
    this.#previews.delete(id);
    this.#views.delete(id);
    this.#depths.delete(id);
    this.#order.splice(this.#order.indexOf(id), 1);
    view.element.remove();
    if (hadFocus) this.#root.focus({ preventScroll: true });
  }

  /** Puts it where its depth belongs. What is equally deep stands in the order of the ids, so that everybody sees the same. */
  #sort(id, element, z) {
    const old = this.#depths.has(id) ? this.#order.indexOf(id) : -1;
    if (old >= 0) this.#order.splice(old, 1);
    this.#depths.set(id, z);
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#order[middle];
      const otherZ = this.#depths.get(other);
      if (otherZ < z || (otherZ === z && other < id)) low = middle + 1;
      else high = middle;
    }
    const next = this.#order[low];
    this.#order.splice(low, 0, id);
    const before = next === undefined ? this.#above : this.#views.get(next).element;
    if (old === low && element.parentNode) return;
    const hadFocus = element === document.activeElement;
    this.#world.insertBefore(element, before);
    // An element that is moved loses the focus.
    if (hadFocus) element.focus({ preventScroll: true });
  }
}
