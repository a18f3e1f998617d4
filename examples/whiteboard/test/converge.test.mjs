import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { applyOp, emptyBoard, readBoard, writeBoard } from "../page/board.mjs";
import { Pending } from "../page/pending.mjs";
import { Shown } from "../page/shown.mjs";
import { random } from "./chance.mjs";

/** A page on a log, over a line that loses messages and answers. */
class Page {
  #log;
  #heard = 0;
  constructor(name, log, chance) {
    this.#log = log;
    this.name = name;
    this.pending = new Pending(name, {
      send: async (message) => {
        const fate = chance(4);
        if (fate === 0) throw Object.assign(new Error(), { code: "away" });
        // It may be in the log twice, as where the server has forgotten the key.
        log.push({ by: name, name, at: log.length, ...structuredClone(message) });
        // The server may need room.
        if (chance(4) === 0) log.at(-1).changes.push({ forget: [`o${chance(6)}`] });
        if (fate === 1) throw Object.assign(new Error(), { code: "unconfirmed" });
      },
      refused: () => assert.fail("nothing is refused here"),
    });
    this.shown = new Shown(this.pending, name);
    this.shown.reset(emptyBoard());
  }
  hear(count) {
    for (; count > 0 && this.#heard < this.#log.length; count--) this.shown.apply(this.#log[this.#heard++]);
    return this.#heard === this.#log.length;
  }
  /** As after a gap. */
  load() {
    const board = emptyBoard();
    for (const op of this.#log) applyOp(board, op);
    this.#heard = this.#log.length;
    this.shown.reset(readBoard(JSON.parse(JSON.stringify(writeBoard(board)))));
  }
}

function anyChange(chance, page, i) {
  const id = chance(8) === 0 ? `${page.name}${i}` : `o${chance(6)}`;
  switch (chance(7)) {
    case 0:
      return { add: id, kind: chance(2) ? "note" : "rect", props: { x: chance(9), y: 0, w: 8, h: 8, color: 0, z: i } };
    case 1:
      return { edit: id };
    case 2:
      return { done: id };
    case 3:
      return { set: id, props: { deleted: chance(2) === 0 } };
    case 4:
      return { set: id, props: { text: `${page.name}${i}` } };
    default:
      return { set: id, props: { x: chance(99), y: chance(99) } };
  }
}

for (let seed = 1; seed <= 40; seed++) {
  test(`pages end up equal, whatever the order and whatever is lost (seed ${seed})`, async () => {
    const chance = random(seed);
    const log = [];
    const pages = ["ada", "bob", "cleo"].map((name) => new Page(name, log, chance));
    for (let i = 0; i < 150; i++) {
      const page = pages[chance(pages.length)];
      const what = chance(12);
      if (what < 7) page.shown.change(Array.from({ length: 1 + chance(3) }, () => anyChange(chance, page, i)));
      else if (what < 10) page.hear(1 + chance(4));
      else if (what === 10) page.load();
      else page.pending.release();
      if (chance(2)) await turn();
    }
    while (pages.some((page) => page.pending.unsent > 0 || !page.hear(Infinity) || page.pending.untold > 0)) {
      for (const page of pages) {
        page.pending.hold();
        page.pending.release();
      }
      await turn();
    }
    const boards = pages.map(({ shown }) => writeBoard(shown.board));
    for (const { shown } of pages) {
      assert.deepEqual(writeBoard(shown.board), boards[0]);
      // Nothing pending any more: what is shown is what is confirmed.
      assert.deepEqual(Object.fromEntries(shown.objects), boards[0].objects);
    }
  });
}
