// What the user does, by pointer, button or key: the tools, and all that is done to what is selected.

import { boxOf } from "./geometry.mjs";
import { Gestures } from "./gestures.mjs";
import { EraserTool, NoteTool, noteAt, PenTool, shapeAt, ShapeTool } from "./making-tools.mjs";
import { SelectTool } from "./select-tool.mjs";
import { counted } from "./words.mjs";

/** As wide a note has to be on the screen, in pixels, for one to write on it. */
const readable = 120;

export class Hands {
  #root;
  #toasts;
  #gestures;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.root
   * @param {import("./camera.mjs").Camera} parts.camera
   * @param {import("./surface.mjs").Surface} parts.surface
   * @param {import("./shown.mjs").Shown} parts.shown
   * @param {import("./selection.mjs").Selection} parts.selection
   * @param {import("./actions.mjs").Actions} parts.actions
   * @param {import("./sharing.mjs").Sharing} parts.sharing
   * @param {import("./toolbox.mjs").Toolbox} parts.toolbox
   * @param {import("./text-editor.mjs").TextEditor} parts.editor
   * @param {import("./view-buttons.mjs").ViewButtons} parts.view
   * @param {import("./toasts.mjs").Toasts} parts.toasts
   * @param {() => void} moved the user has moved the view
   */
  constructor({ root, toasts, ...parts }, moved) {
    this.#root = root;
    this.#toasts = toasts;
    this.camera = parts.camera;
    this.surface = parts.surface;
    this.shown = parts.shown;
    this.selection = parts.selection;
    this.actions = parts.actions;
    this.sharing = parts.sharing;
    this.toolbox = parts.toolbox;
    this.editor = parts.editor;
    this.view = parts.view;
    const tools = {
      select: new SelectTool(this),
      // Without a tool the view moves.
      hand: undefined,
      note: new NoteTool(this),
      pen: new PenTool(this),
      rect: new ShapeTool("rect", this),
      ellipse: new ShapeTool("ellipse", this),
      eraser: new EraserTool(this),
    };
    this.#gestures = new Gestures(root, this.surface, this.camera, () => tools[this.toolbox.name], moved);
    this.toolbox.on(() => {
      this.#gestures.cancel();
      this.#gestures.showCursor();
      if (!["select", "hand"].includes(this.toolbox.name)) this.selection.clear();
    });
  }

  /** The space bar turns any tool into a hand. */
  holdSpace(isDown) {
    this.#gestures.holdSpace(isDown);
  }

  /** Opens the text of a note. @param {string} id */
  edit(id) {
    if (this.shown.get(id)?.kind !== "note") return;
    this.selection.set([id]);
    this.#approach(id);
    this.editor.open(id);
  }

  /** A new note, to be written on. @param {{ x: number, y: number }} point its middle */
  addNote(point) {
    const [id] = this.actions.add([noteAt(point, this.toolbox.noteColor)]);
    this.made([id]);
    // Once it is drawn, and can have the focus.
    requestAnimationFrame(() => {
      this.#approach(id);
      this.editor.open(id);
    });
  }

  /** Something was made: it is selected, to be moved. @param {string[]} ids */
  made(ids) {
    this.toolbox.choose("select");
    this.selection.set(ids);
  }

  /** Something in the middle, for those who have no pointer; or the text of what is selected. Answers false where there is nothing to do. */
  enter() {
    const middle = this.camera.toBoard(this.view.middle);
    const { name, color } = this.toolbox;
    if (name === "note") this.addNote(middle);
    else if (name === "rect" || name === "ellipse") {
      this.made(this.actions.add([shapeAt(name, middle, color)]));
      this.#toasts.announce("Added in the middle, and selected. Arrow keys move it.");
    } else if (this.selection.size === 1) this.edit(this.selection.ids[0]);
    else return false;
    return true;
  }

  /** Says what was not done of all that was asked for, if anything. @param {string} [words] */
  warn(words) {
    if (words !== undefined) this.#toasts.show(words, "bad");
  }

  remove() {
    const removed = this.actions.remove(this.selection.ids);
    this.selection.clear();
    if (removed.length > 0) this.#toasts.announce(`${counted(removed.length, "object")} deleted.`);
  }

  duplicate() {
    this.selection.set(this.actions.duplicate(this.selection.ids));
  }

  selectAll() {
    this.toolbox.choose("select");
    this.selection.set(this.surface.order);
  }

  /** One step back: from what is done, what is selected, the tool. */
  escape() {
    // That closes what is open, and is not meant for the board.
    if (document.querySelector(":popover-open")) return false;
    this.#gestures.cancel();
    if (this.selection.size > 0) this.selection.clear();
    else this.toolbox.choose("select");
    this.#root.focus({ preventScroll: true });
    return true;
  }

  /** Of what is selected, or of what comes next. @param {number} color */
  colour(color) {
    if (this.selection.size === 0) return this.toolbox.setColor(color);
    for (const id of this.selection.ids) this.toolbox.learn(this.shown.get(id)?.kind, color);
    this.actions.set(new Map(this.selection.ids.map((id) => [id, { color }])));
  }

  /** What one writes on is in sight, and large enough to be read. */
  #approach(id) {
    const box = boxOf(this.shown.get(id));
    const isTiny = box.w * this.camera.zoom < readable;
    const zoom = Math.min(1, (1.5 * readable) / box.w);
    if (isTiny) this.camera.centre({ x: box.x + box.w / 2, y: box.y + box.h / 2 }, this.surface.size, zoom);
    this.view.reveal(box);
  }
}
