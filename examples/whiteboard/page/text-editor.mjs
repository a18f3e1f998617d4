// The text of a note, edited in place. While it is open the note is locked for others, who see who is at it, and what is typed.

import { noteSize } from "./element-view.mjs";

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
  #before = "";
  #timer;

  /**
   * @param {import("./surface.mjs").Surface} surface
   * @param {import("./shown.mjs").Shown} shown
   * @param {import("./actions.mjs").Actions} actions
   * @param {string} me the user's public id
   * @param {object} surroundings
   * @param {(id: string | null) => string | undefined} surroundings.nameOf the name of somebody else
   * @param {(words: string) => void} surroundings.refuse says why something is not done
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
    this.#field.maxLength = 2_000;
    this.#field.hidden = true;
    this.#field.setAttribute("aria-label", "Text of the note");
    this.#field.placeholder = "Write something";
    surface.above.append(this.#field);
    surface.onDrawn(() => this.#follow());
    this.#field.addEventListener("input", () => this.#typed());
    // Where the window alone has lost the focus, the user comes back to the text; a page that nobody sees locks nothing.
    this.#field.addEventListener("blur", () => document.activeElement !== this.#field && this.close());
    document.addEventListener("visibilitychange", () => document.hidden && this.close());
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
    this.#before = note.text;
    this.#actions.change([{ edit: id }]);
    this.#field.value = note.text;
    this.#field.hidden = false;
    this.#follow();
    this.#surface.elementOf(id)?.classList.add("is-edited");
    this.#field.focus({ preventScroll: true });
    this.#field.select();
  }

  close({ isLost = false } = {}) {
    const id = this.#id;
    if (id === undefined) return;
    this.#save();
    this.#id = undefined;
    const note = this.#shown.get(id);
    if (note?.editing === this.#me) this.#actions.change([{ done: id }]);
    if (note) this.#actions.record([{ id, prop: "text", before: this.#before, after: note.text }]);
    this.#surface.elementOf(id)?.classList.remove("is-edited");
    this.#surroundings.opened(false);
    const hadFocus = document.activeElement === this.#field;
    this.#field.hidden = true;
    if (hadFocus) this.#surroundings.left(isLost ? undefined : id);
  }

  /** Somebody else was first, or the note is gone. What was written is not lost without a word. @param {string | undefined} name */
  lose(name) {
    const text = this.#field.value;
    const isThere = this.#shown.get(this.#id) !== undefined;
    const hasWritten = text !== this.#before;
    this.close({ isLost: true });
    const why = isThere ? `${name ?? "Somebody"} began to edit this note before you.` : "This note was deleted while you edited it.";
    this.#surroundings.refuse(hasWritten ? `${why} What you wrote: “${text}”` : why);
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
    this.#resize();
    this.#timer ??= setTimeout(() => this.#save(), pause);
  }

  #save() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const note = this.#shown.get(this.#id);
    if (!note || note.editing !== this.#me || note.text === this.#field.value) return;
    this.#actions.change([{ set: this.#id, props: { text: this.#field.value } }]);
  }

  /** The note may move under the pen, or be taken away. */
  #follow() {
    if (this.#id === undefined) return;
    const note = this.#surface.get(this.#id);
    // A page that was away for long has lost the lock, as one whose user is gone; it takes it again where nobody else has it.
    if (note?.editing === null) return this.#actions.change([{ edit: this.#id }]);
    if (note?.editing !== this.#me) return this.lose(this.#surroundings.nameOf(note?.editing ?? null));
    const { style, dataset } = this.#field;
    dataset.color = note.color;
    style.translate = `${note.x}px ${note.y}px`;
    style.width = `${note.w}px`;
    style.height = `${note.h}px`;
    this.#resize();
  }

  #resize() {
    const note = this.#surface.get(this.#id);
    if (note) this.#field.style.fontSize = `${noteSize(this.#field.value || this.#field.placeholder, note.w, note.h)}px`;
  }
}
