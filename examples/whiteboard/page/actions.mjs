// What the user does to the board: each action is a list of changes, and can be undone.

import { History } from "./history.mjs";
import { length, level, place } from "./geometry.mjs";
import { counted } from "./words.mjs";

/** How far a copy lies from its model. */
const copyOffset = 24;

/** From so many deleted objects on, half of what the board keeps, the oldest of them may be forgotten before an undo arrives. */
const fewDeleted = 250;

export class Actions {
  #shown;
  #client;
  #history = new History();
  #count = 0;
  #lockedBy;
  #refuse;
  #heard = new Set();

  /**
   * @param {import("./shown.mjs").Shown} shown
   * @param {string} client
   * @param {object} surroundings
   * @param {(object: import("./board.mjs").BoardObject) => string | undefined} surroundings.lockedBy the name of somebody else who edits it
   * @param {(words: string) => void} surroundings.refuse says why something is not done
   */
  constructor(shown, client, { lockedBy, refuse }) {
    this.#shown = shown;
    this.#client = client;
    this.#lockedBy = lockedBy;
    this.#refuse = refuse;
  }

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  /** @param {() => void} listener hears when there is something else to undo */
  on(listener) {
    this.#heard.add(listener);
  }

  /** An id for an object that is yet to come. */
  newId() {
    this.#count += 1;
    return `${this.#client}x${this.#count.toString(36)}`;
  }

  /** Puts objects on the board, on top of all others. @param {{ id?: string, kind: string, props: object }[]} objects @returns their ids */
  add(objects) {
    const top = this.#shown.top;
    const changes = objects.map(({ id = this.newId(), kind, props }, i) => ({ add: id, kind, props: { ...props, z: level(top + i) } }));
    this.#do(
      changes,
      changes.map(({ add, kind, props }) => ({ id: add, prop: "deleted", before: true, after: false, object: { kind, ...props } })),
    );
    return changes.map(({ add }) => add);
  }

  /** Sets properties of objects. @param {Map<string, object>} props @param {string} [series] */
  set(props, series) {
    const changes = [];
    const steps = [];
    for (const [id, wanted] of props) {
      const object = this.#shown.get(id);
      if (!object) continue;
      const differing = Object.entries(wanted).filter(([prop, value]) => object[prop] !== value);
      if (differing.length === 0) continue;
      changes.push({ set: id, props: Object.fromEntries(differing) });
      for (const [prop, value] of differing) steps.push({ id, prop, before: object[prop], after: value, ...(prop === "deleted" && { object }) });
    }
    this.#do(changes, steps, series);
  }

  /** Changes of which each by itself is nothing to undo, as while one types. */
  change(changes) {
    this.#shown.change(changes);
  }

  /** What was changed so, as one action. @param {import("./history.mjs").Step[]} steps */
  record(steps) {
    this.#history.record(steps);
    this.#tell();
  }

  remove(ids) {
    const free = ids.filter((id) => !this.#isLocked(id));
    this.set(new Map(free.map((id) => [id, { deleted: true }])));
    return free;
  }

  move(ids, dx, dy, series) {
    this.set(
      new Map(
        ids.flatMap((id) => {
          const object = this.#shown.get(id);
          return object ? [[id, { x: place(object.x + dx), y: place(object.y + dy) }]] : [];
        }),
      ),
      series,
    );
  }

  duplicate(ids) {
    const copies = ids.map((id) => this.#shown.get(id)).filter((object) => object !== undefined);
    copies.sort((a, b) => a.z - b.z);
    return this.add(copies.map((object) => copyOf(object, copyOffset)));
  }

  bringToFront(ids) {
    const top = this.#shown.top;
    const ordered = ids.filter((id) => this.#shown.get(id)).sort((a, b) => this.#shown.get(a).z - this.#shown.get(b).z);
    this.set(new Map(ordered.map((id, i) => [id, { z: level(top + i) }])));
  }

  sendToBack(ids) {
    const chosen = new Set(ids);
    let bottom = Infinity;
    for (const [id, { z, deleted }] of this.#shown.objects) if (!deleted && !chosen.has(id)) bottom = Math.min(bottom, z);
    if (bottom === Infinity) return;
    const ordered = ids.filter((id) => this.#shown.get(id)).sort((a, b) => this.#shown.get(b).z - this.#shown.get(a).z);
    this.set(new Map(ordered.map((id, i) => [id, { z: level(bottom - 1 - i) }])));
  }

  undo() {
    this.#step(this.#history.undo((id) => this.#shown.objects.get(id)));
  }

  redo() {
    this.#step(this.#history.redo((id) => this.#shown.objects.get(id)));
  }

  /** @param {import("./history.mjs").Taken} taken */
  #step({ props, revived, spared }) {
    // A note that somebody else is at is theirs.
    const possible = [...props].filter(([id, { text, deleted }]) => (text === undefined && deleted !== true) || !this.#isLocked(id));
    const isSafe = this.#deletedCount <= fewDeleted;
    const changes = possible.flatMap(([id, values]) => {
      const change = { set: id, props: values };
      const isThere = this.#shown.objects.has(id);
      // To add what is there does nothing.
      return (isThere && isSafe) || !revived.has(id) ? [change] : [addedAgain(id, revived.get(id)), change];
    });
    if (changes.length > 0) this.#shown.change(changes);
    if (spared.length > 0) this.#refuse(`${counted(spared.length, "note stays: it was", "notes stay: they were")} written on since.`);
    this.#tell();
  }

  get #deletedCount() {
    let count = 0;
    for (const { deleted } of this.#shown.objects.values()) if (deleted) count += 1;
    return count;
  }

  #do(changes, steps, series) {
    if (changes.length === 0) return;
    this.#shown.change(changes);
    this.#history.record(steps, series);
    this.#tell();
  }

  #isLocked(id) {
    const object = this.#shown.get(id);
    const editor = object && this.#lockedBy(object);
    if (editor !== undefined) this.#refuse(`${editor} is editing this note.`);
    return editor !== undefined;
  }

  #tell() {
    for (const listener of this.#heard) listener();
  }
}

/** The change that puts an object onto the board once more. @returns {import("./board.mjs").Change} */
function addedAgain(id, object) {
  const { kind, props } = copyOf(object, 0);
  return { add: id, kind, props: { ...props, z: object.z } };
}

/** An object to be added that is like another. */
export function copyOf({ kind, x, y, w, h, color, text, points, width }, offset) {
  const where = { x: place(x + offset), y: place(y + offset), color };
  if (kind === "stroke") return { kind, props: { ...where, points, width } };
  const sized = { ...where, w: length(w), h: length(h) };
  return { kind, props: kind === "note" ? { ...sized, text } : sized };
}
