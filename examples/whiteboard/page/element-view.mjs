// What an object of the board looks like: an element of its own, that can be focused and read out. What stands in it is text, never markup.

import { colorNames } from "./colors.mjs";
import { fitText } from "./fit-text.mjs";
import { boxOf } from "./geometry.mjs";
import { strokePath } from "./stroke.mjs";

const svg = "http://www.w3.org/2000/svg";
const words = { note: "note", stroke: "line by hand", rect: "rectangle", ellipse: "ellipse" };

/** What a note's text keeps from its edges. */
export const notePadding = 16;

export class ElementView {
  /** @type {HTMLElement} */
  element;
  #object;
  #text;
  #badge;
  #svg;
  #path;
  #editor;

  /** @param {string} id @param {import("./board.mjs").BoardObject} object */
  constructor(id, object) {
    this.element = document.createElement("div");
    this.element.className = `element ${object.kind}`;
    this.element.dataset.id = id;
    this.element.tabIndex = 0;
    this.element.setAttribute("role", object.kind === "note" ? "group" : "img");
    if (object.kind === "note") this.#buildNote();
    else this.#buildDrawing(object);
  }

  /**
   * @param {import("./board.mjs").BoardObject} object
   * @param {string | undefined} editor the name of somebody else who edits it
   */
  update(object, editor) {
    if (object === this.#object && editor === this.#editor) return;
    const before = this.#object;
    this.#object = object;
    this.#editor = editor;
    const { style, dataset } = this.element;
    if (before?.color !== object.color) dataset.color = object.color;
    const box = boxOf(object);
    style.translate = `${box.x}px ${box.y}px`;
    style.width = `${box.w}px`;
    style.height = `${box.h}px`;
    if (object.kind === "note") this.#updateNote(before, object, editor);
    else this.#updateDrawing(before, object, box);
    this.element.setAttribute("aria-label", nameOf(object, editor));
  }

  #buildNote() {
    this.#text = document.createElement("div");
    this.#text.className = "text";
    this.#badge = document.createElement("div");
    this.#badge.className = "editor-badge";
    this.#badge.hidden = true;
    this.element.append(this.#text, this.#badge);
  }

  #updateNote(before, { text, w, h }, editor) {
    if (before?.text !== text) this.#text.textContent = text;
    if (before?.text !== text || before?.w !== w || before?.h !== h) {
      const { size, isCut } = fitNote(text, w, h);
      this.#text.style.fontSize = `${size}px`;
      this.element.classList.toggle("is-cut", isCut);
    }
    this.element.classList.toggle("is-locked", editor !== undefined);
    this.#badge.hidden = editor === undefined;
    this.#badge.textContent = editor === undefined ? "" : `${editor} is editing`;
  }

  #buildDrawing({ kind, points, width }) {
    this.#svg = document.createElementNS(svg, "svg");
    this.#svg.setAttribute("aria-hidden", "true");
    this.#path = document.createElementNS(svg, { stroke: "path", rect: "rect", ellipse: "ellipse" }[kind]);
    this.#svg.append(this.#path);
    if (kind === "stroke") {
      // A thin line is hard to hit: what is hit is wider than what is seen.
      const target = this.#path.cloneNode();
      target.classList.add("target");
      for (const path of [this.#path, target]) path.style.setProperty("--pen", `${width}px`);
      for (const path of [this.#path, target]) path.setAttribute("d", strokePath(points));
      this.#svg.append(target);
    }
    this.element.append(this.#svg);
  }

  #updateDrawing(before, object, box) {
    if (object.kind === "stroke") {
      // Its points are relative to its own place, which is not the box's corner.
      if (!before) this.#svg.setAttribute("viewBox", `${box.x - object.x} ${box.y - object.y} ${box.w} ${box.h}`);
      return;
    }
    if (before?.w === object.w && before?.h === object.h) return;
    const [w, h] = [Math.max(0, object.w - 3), Math.max(0, object.h - 3)];
    const attributes =
      object.kind === "rect"
        ? { x: 1.5, y: 1.5, width: w, height: h, rx: Math.min(10, w / 4, h / 4) }
        : { cx: object.w / 2, cy: object.h / 2, rx: w / 2, ry: h / 2 };
    for (const [name, value] of Object.entries(attributes)) this.#path.setAttribute(name, value);
  }
}

/** How large the text of a note is, and whether all of it is seen. */
export function fitNote(text, w, h) {
  return fitText(text, { w: w - 2 * notePadding, h: h - 2 * notePadding }, widthOf);
}

/** What it is, for those who hear it. */
export function nameOf({ kind, color, text }, editor) {
  const what = `${colorNames[color]} ${words[kind]}`;
  const says = kind === "note" ? (text.trim() === "" ? `Empty ${what.toLowerCase()}` : `${what}: ${text}`) : what;
  return editor === undefined ? says : `${says} (${editor} is editing)`;
}

const pen = document.createElement("canvas").getContext("2d");
const widths = new Map();

function widthOf(word) {
  let width = widths.get(word);
  if (width === undefined) {
    pen.font = `100px ${getComputedStyle(document.body).fontFamily}`;
    width = pen.measureText(word).width / 100;
    if (widths.size > 20_000) widths.clear();
    widths.set(word, width);
  }
  return width;
}
