// The arrow: selects, moves, makes larger.

import { between, boxOf, carried, dragged, length, meet, place } from "./geometry.mjs";

/** How far the pointer goes, in pixels, until it drags. */
const threshold = 4;

/** A note can't be made smaller than this, anything else not smaller than a finger can find. */
const leastNote = 60;
const least = 16;

export class SelectTool {
  cursor = "default";
  pansByFinger = true;
  #hands;
  #start;
  /** @type {"move" | "resize" | "marquee" | undefined} */
  #doing;
  #handle;
  #box;
  #objects = new Map();
  #chosen = [];
  #hasDragged = false;
  #wasSelected = false;

  /** @param {import("./hands.mjs").Hands} hands */
  constructor(hands) {
    this.#hands = hands;
  }

  touchedNothing() {
    this.#hands.selection.clear();
  }

  down({ board, event, target }) {
    const { selection, surface } = this.#hands;
    this.#start = board;
    this.#hasDragged = false;
    this.#handle = target instanceof Element ? target.closest("[data-handle]")?.dataset.handle : undefined;
    const id = surface.idOf(target);
    if (this.#handle) {
      this.#doing = "resize";
      this.#box = selection.box;
    } else if (id !== undefined) {
      this.#doing = "move";
      this.#wasSelected = selection.has(id);
      if (event.shiftKey) selection.toggle(id);
      else if (!this.#wasSelected) selection.set([id]);
      surface.elementOf(id)?.focus({ preventScroll: true });
    } else {
      this.#doing = "marquee";
      this.#chosen = event.shiftKey ? selection.ids : [];
      selection.set(this.#chosen);
    }
    this.#grasp();
  }

  move({ board, event }) {
    if (!this.#doing) return;
    const { camera, selection } = this.#hands;
    if (!this.#hasDragged) {
      if (Math.hypot(board.x - this.#start.x, board.y - this.#start.y) * camera.zoom < threshold) return;
      this.#hasDragged = true;
      if (this.#doing === "move" && event.altKey) this.#copy();
      if (this.#doing !== "marquee") selection.isQuiet = true;
    }
    const by = { x: board.x - this.#start.x, y: board.y - this.#start.y };
    if (this.#doing === "marquee") return this.#mark(board);
    if (this.#doing === "move") {
      // Along one axis only.
      if (event.shiftKey) by[Math.abs(by.x) < Math.abs(by.y) ? "x" : "y"] = 0;
      this.#preview((object) => ({ x: place(object.x + by.x), y: place(object.y + by.y) }));
    } else {
      const objects = [...this.#objects.values()];
      const smallest = objects.some(({ kind }) => kind === "note") && objects.length === 1 ? leastNote : least;
      const box = dragged(this.#box, this.#handle, by, { least: smallest, keepsShape: event.shiftKey || objects.length > 1 });
      this.#preview((object) => resized(object, this.#box, box));
    }
  }

  up({ event, target }) {
    const { selection, surface } = this.#hands;
    const id = surface.idOf(target);
    if (this.#doing === "move" && !this.#hasDragged && this.#wasSelected && !event.shiftKey && id !== undefined && selection.size > 1) selection.set([id]);
    this.#end(true);
  }

  cancel() {
    this.#end(false);
  }

  double({ board, target }) {
    const { surface, shown } = this.#hands;
    const id = surface.idOf(target);
    // A shape has no text: a note on it does as well.
    if (id !== undefined && shown.get(id)?.kind === "note") this.#hands.edit(id);
    else if (!(target instanceof Element && target.closest("[data-handle]"))) this.#hands.addNote(board);
  }

  /** What is to be moved, from where it is seen: another may be dragging it. */
  #grasp() {
    const { selection, surface } = this.#hands;
    this.#objects = new Map(selection.ids.map((id) => [id, surface.get(id)]).filter(([, object]) => object));
  }

  /** Drags copies away, and leaves the models. */
  #copy() {
    const { actions, selection, shown } = this.#hands;
    selection.set(actions.duplicate(selection.ids));
    const offset = shown.get(selection.ids[0]);
    const model = this.#objects.values().next().value;
    if (offset && model) this.#start = { x: this.#start.x + offset.x - model.x, y: this.#start.y + offset.y - model.y };
    this.#grasp();
  }

  #mark(board) {
    const { selection, surface, camera } = this.#hands;
    const box = between(this.#start, board);
    const corner = camera.toScreen(box);
    selection.showMarquee({ ...corner, w: box.w * camera.zoom, h: box.h * camera.zoom });
    const met = surface.order.filter((id) => {
      // What others have just deleted is drawn until the next frame.
      const object = surface.get(id);
      return object && meet(boxOf(object), box);
    });
    selection.set([...this.#chosen, ...met]);
  }

  #preview(propsOf) {
    const { surface, sharing } = this.#hands;
    for (const [id, object] of this.#objects) {
      const props = propsOf(object);
      surface.preview(id, props);
      sharing.drag(id, { ...sizeOf(object), ...props });
    }
  }

  #end(isKept) {
    const { selection, surface, actions, sharing } = this.#hands;
    const isDrag = this.#hasDragged && (this.#doing === "move" || this.#doing === "resize");
    if (isDrag) {
      const props = new Map();
      for (const [id, object] of this.#objects) {
        const now = surface.get(id);
        const { x, y, w, h } = now ?? object;
        props.set(id, object.kind === "stroke" ? { x, y } : { x, y, w, h });
        surface.preview(id, undefined);
        sharing.end(id);
      }
      if (isKept) actions.set(props);
      selection.isQuiet = false;
    }
    selection.showMarquee(undefined);
    this.#doing = undefined;
    this.#hasDragged = false;
  }
}

function sizeOf({ w, h }) {
  return w === undefined ? {} : { w, h };
}

function resized(object, from, to) {
  if (object.kind === "stroke") {
    const { x, y } = carried({ x: object.x, y: object.y, w: 0, h: 0 }, from, to);
    return { x: place(x), y: place(y) };
  }
  const { x, y, w, h } = carried(object, from, to);
  return { x: place(x), y: place(y), w: length(w), h: length(h) };
}
