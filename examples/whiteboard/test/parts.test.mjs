import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { applyOp, emptyBoard } from "../page/board.mjs";
import { Pending } from "../page/pending.mjs";
import { random } from "./chance.mjs";

/** Objects that somebody else edits. */
const locked = ["locked0", "locked1"];
const ids = ["o0", "o1", "o2", "o3"];

/** One server, which takes a message whole or not at all, and the pages of one person, one after the other. */
class World {
  board = emptyBoard();
  #log = [];
  #chance;
  refused = [];

  constructor(chance) {
    this.#chance = chance;
    const props = { x: 0, y: 0, w: 9, h: 9, color: 0, z: 0, text: "" };
    applyOp(this.board, { by: "bob", name: "", at: 0, changes: [...ids, ...locked].map((id) => ({ add: id, kind: "note", props })) });
  }

  page(client) {
    const pending = new Pending(client, { send: (message) => this.#take(message), refused: (changes) => this.refused.push(...changes) });
    // A page that comes back has heard what the log told meanwhile before it sends.
    const release = () => {
      for (const { client, n } of this.#log) pending.told(client, n);
      pending.release();
    };
    return { pending, release };
  }

  async #take(message) {
    if (this.#chance(3) === 0) await turn();
    const fate = this.#chance(6);
    if (fate === 0) throw Object.assign(new Error(), { code: "http-404" });
    if (message.changes.some(({ set }) => locked.includes(set))) throw Object.assign(new Error(), { code: "locked" });
    applyOp(this.board, { by: "ada", name: "", at: 0, ...structuredClone(message) });
    this.#log.push(message);
    if (fate === 1) throw Object.assign(new Error(), { code: "unconfirmed" });
  }
}

for (let seed = 1; seed <= 60; seed++) {
  test(`what is refused takes nothing along, and the rest arrives once and in order (seed ${seed})`, async () => {
    const chance = random(seed);
    const world = new World(chance);
    const done = [];
    let count = 0;
    const act = ({ pending }) => {
      const changes = Array.from({ length: 1 + chance(4) }, () => {
        count += 1;
        const what = chance(4);
        if (what === 0) return { chat: `${count}` };
        return { set: what === 1 ? locked[chance(2)] : ids[chance(4)], props: { x: count } };
      });
      done.push(...changes);
      pending.push(changes);
    };
    const pass = async (page) => {
      if (chance(3) === 0) page.pending.hold();
      else page.release();
      for (let i = chance(4); i > 0; i--) await turn();
    };

    const first = world.page("first");
    first.release();
    for (let i = 0; i < 12; i++) {
      for (let k = chance(4); k > 0; k--) {
        act(first);
        await pass(first);
      }
      if (chance(3) > 0) continue;
      // It is put away, and comes back; another may have been there meanwhile, which takes what it left and sends what it can.
      first.pending.hold();
      const left = first.pending.freeze();
      if (chance(2) === 0) {
        first.pending.regain(left, structuredClone(left));
        continue;
      }
      const other = world.page(`other${i}`);
      other.pending.adopt(structuredClone(left));
      for (let k = chance(3); k > 0; k--) {
        act(other);
        await pass(other);
      }
      other.pending.hold();
      first.pending.regain(left, structuredClone(other.pending.freeze()));
    }
    for (let i = 0; i < 500 && first.pending.unsent > 0; i++) {
      first.pending.hold();
      first.release();
      await turn();
    }
    assert.equal(first.pending.unsent, 0);

    const good = done.filter(({ set }) => !locked.includes(set));
    assert.deepEqual(world.board.chat.map(({ text }) => text), good.filter(({ chat }) => chat).map(({ chat }) => chat));
    for (const id of ids) {
      const last = good.findLast(({ set }) => set === id);
      assert.equal(world.board.objects.get(id).x, last?.props.x ?? 0, id);
    }
    for (const id of locked) assert.equal(world.board.objects.get(id).x, 0);
    assert.ok(world.refused.length > 0 && world.refused.every(({ set }) => locked.includes(set)));
  });
}
