// The text of a note, edited in place. While it is open the note is locked for others, who see who is at it, and what is typed.
//
// What stands in the field is what the note says, until the user types. From then on it is the user's, and the note may become another's: the lock
// ends for whoever is away for long, and another page of the same user shares it. Then the user's words are not written over theirs, but kept.

import { fitNote } from "./element-view.mjs";
import { mostText, roomFor } from "./note-text.mjs";

/** How long what is typed waits for more of it, in milliseconds. */
const pause = 200;

/** How often an open editor says so, in milliseconds: the lock of one that says nothing for a minute ends. */
const renewal = 20_000;

export class TextEditor {
  #surface;
  #shown;
  #actions;
  #me;
  #surroundings;
  #field = document.createElement("textarea");
  #id;
  /** What the note said before the user wrote on it. */
  #before = "";
  /** What the note says, as far as the field knows. */
  #known = "";
  #hasTyped = false;
  #timer;

  /**
   * @param {import("./surface.mjs").Surface} surface
   * @param {import("./shown.mjs").Shown} shown
   * @param {import("./actions.mjs").Actions} actions
   * @param {string} me the user's public id
   * @param {object} surroundings
   * @param {(id: string | null) => string | undefined} surroundings.nameOf the name of somebody else
   * @param {(words: string) => void} surroundings.refuse says why something is not done
   * @param {(id: string) => void} surroundings.withdraw what the user wrote on it is not to be sent any more
   * @param {(why: string, text: string) => void} surroundings.keep keeps words that are not on the board
   * @param {(isOpen: boolean) => void} surroundings.opened it was opened, or closed
   * @param {(id: string | undefined) => void} surroundings.left the focus goes to the note, or away from one that is somebody else's
   */
  constructor(surface, shown, actions, me, surroundings) {
    this.#surface = surface;
    this.#shown = shown;
    this.#actions = actions;
    this.#me = me;
    this.#surroundings = surroundings;
    this.#field.className = "text-editor";
    this.#field.maxLength = mostText;
    this.#field.hidden = true;
    this.#field.setAttribute("aria-label", "Text of the note");
    this.#field.placeholder = "Write something";
    surface.above.append(this.#field);
    surface.onDrawn(() => this.#follow());
    // At once, and not when it is drawn: who was away hears in one go that somebody began, wrote and was done.
    shown.on(() => this.#meet());
    this.#field.addEventListener("input", () => this.#typed());
    // Where the window alone has lost the focus, the user comes back to the text; a page that nobody sees locks nothing.
    this.#field.addEventListener("blur", () => document.activeElement !== this.#field && this.close());
    document.addEventListener("visibilitychange", () => document.hidden && this.close());
    this.#field.addEventListener("paste", (event) => this.#warn(event.clipboardData.getData("text/plain")));
    this.#field.addEventListener("keydown", (event) => this.#press(event));
    setInterval(() => this.#id !== undefined && this.#actions.change([{ edit: this.#id }]), renewal);
  }

  /** The note that is open. @returns {string | undefined} */
  get id() {
    return this.#id;
  }

  /** @param {string} id */
  open(id) {
    if (this.#id === id) return;
    this.close();
    const note = this.#shown.get(id);
    if (note?.kind !== "note") return;
    const editor = this.#surroundings.nameOf(note.editing);
    if (editor !== undefined) return this.#surroundings.refuse(`${editor} is editing this note.`);
    this.#id = id;
    this.#surroundings.opened(true);
    this.#read(note.text);
    this.#actions.change([{ edit: id }]);
    this.#field.hidden = false;
    this.#follow();
    this.#surface.elementOf(id)?.classList.add("is-edited");
    this.#field.focus({ preventScroll: true });
    this.#field.select();
  }

  close() {
    const id = this.#id;
    if (id === undefined) return;
    this.#save();
    this.#leave(id);
    const note = this.#shown.get(id);
    if (note?.editing === this.#me) this.#actions.change([{ done: id }]);
    if (note && this.#hasTyped) this.#actions.record([{ id, prop: "text", before: this.#before, after: note.text }]);
  }

  /** Somebody else was first, as the server says. @param {string | undefined} name */
  lose(name) {
    this.#lose(`${name ?? "Somebody"} began to edit this note before you.`);
  }

  /** What was written is not lost without a word. */
  #lose(why) {
    const id = this.#id;
    if (id === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leave(id, { isLost: true });
    this.#surroundings.withdraw(id);
    if (this.#shown.get(id)?.editing === this.#me) this.#actions.change([{ done: id }]);
    if (this.#hasTyped && this.#field.value !== "") this.#surroundings.keep(`${why} What you wrote:`, this.#field.value);
    else this.#surroundings.refuse(why);
  }

  #leave(id, { isLost = false } = {}) {
    this.#id = undefined;
    this.#surface.elementOf(id)?.classList.remove("is-edited");
    this.#surroundings.opened(false);
    const hadFocus = document.activeElement === this.#field;
    this.#field.hidden = true;
    if (hadFocus) this.#surroundings.left(isLost ? undefined : id);
  }

  #press(event) {
    // The keys of the board are for when nobody writes.
    event.stopPropagation();
    const isDone = event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey));
    if (!isDone || event.isComposing) return;
    event.preventDefault();
    this.close();
  }

  #typed() {
    this.#hasTyped = true;
    this.#resize();
    this.#timer ??= setTimeout(() => this.#save(), pause);
  }

  /** The field takes as much of what is pasted as it has room for. */
  #warn(pasted) {
    const { value, selectionStart, selectionEnd, maxLength } = this.#field;
    if (pasted.length > maxLength - value.length + selectionEnd - selectionStart) this.#surroundings.refuse(roomFor("the end of what you pasted is left out"));
  }

  #save() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = this.#field.value;
    if (!this.#hasTyped || this.#known === text) return;
    this.#lock();
    if (this.#shown.get(this.#id)?.editing !== this.#me) return;
    this.#known = text;
    this.#actions.change([{ set: this.#id, props: { text } }]);
  }

  /** The field says what the note does. */
  #read(text) {
    const { value, selectionStart, selectionEnd } = this.#field;
    const isAllSelected = selectionStart === 0 && selectionEnd === value.length;
    this.#before = this.#known = this.#field.value = text;
    this.#hasTyped = false;
    if (isAllSelected) this.#field.select();
  }

  /** The note may have become somebody else's, or say something else. */
  #meet() {
    if (this.#id === undefined) return;
    const note = this.#shown.get(this.#id);
    if (!note) return this.#lose("This note was deleted while you edited it.");
    const editor = this.#surroundings.nameOf(note.editing);
    if (editor !== undefined) return this.lose(editor);
    if (note.text === this.#known) return;
    if (this.#hasTyped) this.#lose("The text of this note changed while you edited it.");
    else this.#read(note.text);
  }

  /** A page that was away for long has lost the lock, as one whose user is gone; it takes it again where nobody else has it. */
  #lock() {
    if (this.#shown.get(this.#id)?.editing === null) this.#actions.change([{ edit: this.#id }]);
  }

  /** The note may move under the pen. */
  #follow() {
    if (this.#id === undefined) return;
    this.#lock();
    const note = this.#surface.get(this.#id);
    const { style, dataset } = this.#field;
    dataset.color = note.color;
    style.translate = `${note.x}px ${note.y}px`;
    style.width = `${note.w}px`;
    style.height = `${note.h}px`;
    this.#resize();
  }

  #resize() {
    const note = this.#surface.get(this.#id);
    if (!note) return;
    const { size, isCut } = fitNote(this.#field.value || this.#field.placeholder, note.w, note.h);
    this.#field.style.fontSize = `${size}px`;
    this.#field.classList.toggle("is-cut", isCut);
  }
}
