// The tools that put something on the board, and the one that takes it away.

import { between, cornerFrom, length, onBoard, place } from "./geometry.mjs";
import { simplify, steadied, strokePath, strokeProps } from "./stroke.mjs";

const svg = "http://www.w3.org/2000/svg";
const noteSide = 200;
const shapeSize = { w: 180, h: 120 };

/** Where a stroke is cut, and goes on as another: longer ones are hard to move, and to send. */
const mostPoints = 6_000;

/** A new note, with its middle here. */
export function noteAt({ x, y }, color) {
  return { kind: "note", props: { x: place(x - noteSide / 2), y: place(y - noteSide / 2), w: noteSide, h: noteSide, color, text: "" } };
}

/** A new rectangle or ellipse, with its middle here. */
export function shapeAt(kind, { x, y }, color) {
  const { w, h } = shapeSize;
  return { kind, props: { x: place(x - w / 2), y: place(y - h / 2), w, h, color } };
}

export class NoteTool {
  cursor = "copy";
  #hands;
  /** @param {import("./hands.mjs").Hands} hands */
  constructor(hands) {
    this.#hands = hands;
  }
  down() {}
  move() {}
  up({ board }) {
    this.#hands.addNote(board);
  }
  cancel() {}
}

export class ShapeTool {
  cursor = "crosshair";
  #kind;
  #hands;
  #start;
  #outline;

  /** @param {"rect" | "ellipse"} kind @param {import("./hands.mjs").Hands} hands */
  constructor(kind, hands) {
    this.#kind = kind;
    this.#hands = hands;
  }

  down({ board }) {
    this.#start = onBoard(board);
    this.#outline = document.createElement("div");
    this.#outline.className = `outline ${this.#kind}`;
    this.#outline.dataset.color = this.#hands.toolbox.color;
    this.#hands.surface.above.append(this.#outline);
  }

  move({ board, event }) {
    if (!this.#start) return;
    const { x, y, w, h } = this.#box(board, event.shiftKey);
    Object.assign(this.#outline.style, { translate: `${x}px ${y}px`, width: `${w}px`, height: `${h}px` });
  }

  up({ board, event }) {
    if (!this.#start) return;
    const { x, y, w, h } = this.#box(board, event.shiftKey);
    const { color } = this.#hands.toolbox;
    const isClick = Math.max(w, h) * this.#hands.camera.zoom < 6;
    const object = isClick
      ? shapeAt(this.#kind, this.#start, color)
      : { kind: this.#kind, props: { x: place(x), y: place(y), w: length(w), h: length(h), color } };
    this.cancel();
    this.#hands.made(this.#hands.actions.add([object]));
  }

  cancel() {
    this.#outline?.remove();
    this.#start = undefined;
  }

  /** Not larger than the board takes it: so one sees where that ends. */
  #box(board, isSquare) {
    if (!isSquare) return between(this.#start, cornerFrom(this.#start, board));
    const side = Math.max(Math.abs(board.x - this.#start.x), Math.abs(board.y - this.#start.y));
    const corner = {
      x: this.#start.x + side * (board.x < this.#start.x ? -1 : 1),
      y: this.#start.y + side * (board.y < this.#start.y ? -1 : 1),
    };
    return between(this.#start, cornerFrom(this.#start, corner));
  }
}

export class PenTool {
  cursor = "crosshair";
  #hands;
  #id;
  #points = [];
  #path;

  /** @param {import("./hands.mjs").Hands} hands */
  constructor(hands) {
    this.#hands = hands;
  }

  down({ board }) {
    this.#begin(board);
  }

  move({ trail }) {
    if (this.#id === undefined) return;
    for (const point of trail) {
      const { x, y } = onBoard(steadied(this.#points, point));
      this.#points.push(x, y);
    }
    this.#path.setAttribute("d", strokePath(this.#points));
    this.#hands.sharing.stroke(this.#id, () => ({
      kind: "stroke",
      ...this.#style(),
      points: simplify(this.#points, 1 / this.#hands.camera.zoom).map(Math.round).slice(-2_000),
    }));
    if (this.#points.length >= mostPoints) {
      const [x, y] = this.#points.slice(-2);
      this.#finish();
      this.#begin({ x, y });
    }
  }

  up({ board }) {
    if (this.#id === undefined) return;
    // The hand has stopped: the line ends where the pen is.
    const { x, y } = onBoard(board);
    if (this.#points.length > 2) this.#points.push(x, y);
    this.#finish();
  }

  cancel() {
    if (this.#id !== undefined) this.#hands.sharing.end(this.#id);
    this.#id = undefined;
    this.#path?.ownerSVGElement?.remove();
  }

  #begin(point) {
    const { x, y } = onBoard(point);
    this.#id = this.#hands.actions.newId();
    this.#points = [x, y];
    const drawing = document.createElementNS(svg, "svg");
    drawing.classList.add("drawing");
    drawing.dataset.color = this.#hands.toolbox.color;
    this.#path = document.createElementNS(svg, "path");
    this.#path.style.setProperty("--pen", `${this.#hands.toolbox.width}px`);
    this.#path.setAttribute("d", strokePath(this.#points));
    drawing.append(this.#path);
    this.#hands.surface.above.append(drawing);
  }

  #finish() {
    const id = this.#id;
    this.#hands.actions.add([{ id, kind: "stroke", props: { ...strokeProps(this.#points, this.#hands.camera.zoom), ...this.#style() } }]);
    this.#hands.sharing.end(id);
    this.#id = undefined;
    const drawing = this.#path.ownerSVGElement;
    // Until the real one is drawn.
    requestAnimationFrame(() => requestAnimationFrame(() => drawing.remove()));
  }

  #style() {
    const { color, width } = this.#hands.toolbox;
    return { color, width };
  }
}

export class EraserTool {
  cursor = "cell";
  #hands;
  #ids = new Set();
  #last;

  /** @param {import("./hands.mjs").Hands} hands */
  constructor(hands) {
    this.#hands = hands;
  }

  down(at) {
    this.#ids.clear();
    this.#last = undefined;
    this.move(at);
  }

  move({ event }) {
    const { clientX: x, clientY: y } = event;
    const from = this.#last ?? { x, y };
    const steps = Math.max(1, Math.ceil(Math.hypot(x - from.x, y - from.y) / 6));
    for (let i = 1; i <= steps; i++) {
      this.#mark(document.elementFromPoint(from.x + ((x - from.x) * i) / steps, from.y + ((y - from.y) * i) / steps));
    }
    this.#last = { x, y };
  }

  up() {
    const ids = [...this.#ids];
    this.cancel();
    if (ids.length > 0) this.#hands.actions.remove(ids);
  }

  cancel() {
    for (const id of this.#ids) this.#hands.surface.elementOf(id)?.classList.remove("is-erased");
    this.#ids.clear();
  }

  #mark(element) {
    const id = this.#hands.surface.idOf(element);
    if (id === undefined || this.#ids.has(id)) return;
    this.#ids.add(id);
    this.#hands.surface.elementOf(id).classList.add("is-erased");
  }
}
