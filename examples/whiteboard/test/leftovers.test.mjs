import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { leaveBehind, takeLeftovers } from "../page/leftovers.mjs";

/** A tab's storage that has room for so many characters. */
class Storage {
  #items = new Map();
  #room;

  constructor(room) {
    this.#room = room;
  }

  get size() {
    return [...this.#items].flat().join("").length;
  }

  getItem(place) {
    return this.#items.get(place) ?? null;
  }

  setItem(place, text) {
    const before = this.#items.get(place);
    this.#items.set(place, text);
    if (this.size <= this.#room) return;
    if (before === undefined) this.#items.delete(place);
    else this.#items.set(place, before);
    throw new Error("QuotaExceededError");
  }

  removeItem(place) {
    this.#items.delete(place);
  }
}

const messages = Array.from({ length: 40 }, (_, i) => ({ client: "c1", n: i + 1, changes: [{ chat: "x".repeat(100) }, { chat: `${i}` }] }));
const nothing = { messages: [], lost: 0 };

beforeEach(() => {
  globalThis.sessionStorage = new Storage(1_000_000);
});

test("what is left is there for the next page of the board, once", () => {
  assert.deepEqual(leaveBehind("one", messages), messages);
  assert.deepEqual(takeLeftovers("other"), nothing);
  assert.deepEqual(takeLeftovers("one"), { messages, lost: 0 });
  assert.deepEqual(takeLeftovers("one"), nothing);
  assert.equal(sessionStorage.size, 0);
});

for (const room of [0, 10, 60, 200, 1_000, 3_333, 5_000, 5_700]) {
  test(`what was done first is kept, as much as there is room for, and the rest is counted: ${room} characters`, () => {
    globalThis.sessionStorage = new Storage(room);
    const kept = leaveBehind("one", messages);
    assert.ok(kept.length < messages.length);
    assert.deepEqual(kept, messages.slice(0, kept.length));
    const isCounted = room >= 60;
    assert.deepEqual(takeLeftovers("one"), { messages: kept, lost: isCounted ? 2 * (40 - kept.length) : 0 });
    // One more would not have fitted.
    const rest = new Storage(room);
    const more = JSON.stringify(messages.slice(0, kept.length + 1));
    assert.throws(() => {
      rest.setItem("whiteboard.lost.one", "80");
      rest.setItem("whiteboard.unsent.one", more);
    });
  });
}

test("a browser that keeps nothing has nothing for the next page", () => {
  globalThis.sessionStorage = undefined;
  assert.deepEqual(leaveBehind("one", messages), []);
  assert.deepEqual(takeLeftovers("one"), nothing);
});
