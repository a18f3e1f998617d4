// What the page shows: the confirmed board with the page's own pending changes on top, in their order. So it is quick, and all end up equal.

import { applyOp, changeObject, emptyBoard, idOf } from "./board.mjs";

/** @typedef {import("./board.mjs").BoardObject} BoardObject */
/** @typedef {import("./board.mjs").Change} Change */

export class Shown {
  #board = emptyBoard();
  /** @type {Map<string, BoardObject>} */
  #objects = new Map();
  #pending;
  #me;
  #heard = new Set();

  /**
   * @param {import("./pending.mjs").Pending | undefined} pending a viewer has none
   * @param {string} me the user's public id
   */
  constructor(pending, me) {
    this.#pending = pending;
    this.#me = me;
  }

  /** The confirmed board alone. */
  get board() {
    return this.#board;
  }

  /** Every object that there is, the deleted ones too. */
  get objects() {
    return this.#objects;
  }

  /** An object that is on the board. @param {string} id */
  get(id) {
    const object = this.#objects.get(id);
    return object && !object.deleted ? object : undefined;
  }

  /** Whether a note says so. @param {string} text */
  says(text) {
    for (const object of this.#objects.values()) if (object.text === text && !object.deleted) return true;
    return false;
  }

  /** The words in the chat that nobody else has read yet. */
  get unsaid() {
    return this.#pending ? [...this.#pending.changes()].filter((change) => typeof change.chat === "string").map(({ chat }) => chat) : [];
  }

  /** The place on top of everything else. The first is high enough that others find a place behind it. */
  get top() {
    let top = 999_999;
    for (const { z, deleted } of this.#objects.values()) if (!deleted && z > top) top = z;
    return Math.min(top + 1, 1_000_000_000);
  }

  /** @param {(ids: Iterable<string>) => void} listener hears which objects may have changed */
  on(listener) {
    this.#heard.add(listener);
  }

  /** The board anew, from a snapshot. @param {import("./board.mjs").Board} board */
  reset(board) {
    this.#board = board;
    for (const [page, n] of board.seen) {
      const [by, client] = page.split("/");
      if (by === this.#me) this.#pending?.told(client, n);
    }
    const ids = new Set([...this.#objects.keys(), ...board.objects.keys()]);
    for (const change of this.#pending?.changes() ?? []) if (idOf(change)) ids.add(idOf(change));
    this.#refresh(ids);
  }

  /** A message of the log. @param {import("./board.mjs").Op} op */
  apply(op) {
    const ids = applyOp(this.#board, op);
    const told = op.by === this.#me ? this.#pending?.told(op.client, op.n) : [];
    for (const change of told ?? []) if (idOf(change)) ids.add(idOf(change));
    this.#refresh(ids);
  }

  /** The page's own changes: they are seen at once, and go out. @param {Change[]} changes */
  change(changes) {
    const ids = new Set();
    for (const change of changes) {
      const id = idOf(change);
      if (id === undefined) continue;
      const after = changeObject(this.#objects.get(id), change, this.#me);
      if (after) this.#objects.set(id, after);
      ids.add(id);
    }
    this.#pending?.push(changes);
    this.#tell(ids);
  }

  /** Changes that were refused are taken back. @param {Change[]} changes */
  takeBack(changes) {
    this.#refresh(new Set(changes.map(idOf).filter((id) => id !== undefined)));
  }

  #refresh(ids) {
    const mine = new Map();
    for (const change of this.#pending?.changes() ?? []) {
      const id = idOf(change);
      if (ids.has(id)) mine.set(id, [...(mine.get(id) ?? []), change]);
    }
    for (const id of ids) {
      let object = this.#board.objects.get(id);
      for (const change of mine.get(id) ?? []) object = changeObject(object, change, this.#me);
      if (object) this.#objects.set(id, object);
      else this.#objects.delete(id);
    }
    this.#tell(ids);
  }

  #tell(ids) {
    for (const listener of this.#heard) listener(ids);
  }
}
