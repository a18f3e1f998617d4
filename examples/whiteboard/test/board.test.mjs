import assert from "node:assert/strict";
import { test } from "node:test";
import { applyOp, emptyBoard, readBoard, writeBoard } from "../page/board.mjs";

const note = { x: 0, y: 0, w: 100, h: 100, color: 3, z: 1, text: "" };

/** A board, and a log that is written to it. */
function log() {
  const board = emptyBoard();
  let at = 0;
  return {
    board,
    say: (by, changes, more = {}) => applyOp(board, { by, name: by.toUpperCase(), at: ++at, changes, ...more }),
    deeds: () => board.activity.map(({ by, did, id }) => `${by} ${did} ${id}`),
  };
}

test("an object has its properties, its maker and nobody who edits it", () => {
  const { board, say } = log();
  say("ada", [{ add: "a1", kind: "note", props: note }]);
  assert.deepEqual(board.objects.get("a1"), { ...note, kind: "note", by: "ada", deleted: false, editing: null });
});

test("an id is given once, and what is not there can't be changed", () => {
  const { board, say } = log();
  say("ada", [{ add: "a1", kind: "note", props: note }]);
  say("bob", [{ add: "a1", kind: "rect", props: note }, { set: "b1", props: { x: 5 } }]);
  assert.equal(board.objects.get("a1").kind, "note");
  assert.deepEqual([...board.objects.keys()], ["a1"]);
});

test("the last in the log wins, property by property", () => {
  const { board, say } = log();
  say("ada", [{ add: "a1", kind: "note", props: note }]);
  say("ada", [{ set: "a1", props: { x: 1, y: 1 } }]);
  say("bob", [{ set: "a1", props: { x: 2 } }]);
  assert.deepEqual([board.objects.get("a1").x, board.objects.get("a1").y], [2, 1]);
});

test("a repeat is ignored, whole, and a message of the server is none", () => {
  const { board, say } = log();
  say("ada", [{ chat: "one" }], { client: "c1", n: 1 });
  say("ada", [{ chat: "two" }], { client: "c1", n: 2 });
  say("ada", [{ chat: "one" }], { client: "c1", n: 1 });
  say("ada", [{ chat: "two" }], { client: "c1", n: 2 });
  say("ada", [{ chat: "server" }]);
  say("ada", [{ chat: "server" }]);
  assert.deepEqual(board.chat.map(({ text }) => text), ["one", "two", "server", "server"]);
});

test("what somebody else says under a page's name keeps nothing of that page's away", () => {
  const { board, say } = log();
  say("ben", [], { client: "c1", n: Number.MAX_SAFE_INTEGER });
  say("ada", [{ chat: "one" }], { client: "c1", n: 1 });
  assert.equal(board.chat.length, 1);
});

test("of 501 clients the one that was heard longest ago is forgotten", () => {
  const { board, say } = log();
  for (let i = 0; i < 500; i++) say(`user${i}`, [], { client: "c", n: 1 });
  say("user0", [], { client: "c", n: 2 });
  say("ada", [], { client: "c", n: 1 });
  assert.equal(board.seen.size, 500);
  assert.equal(board.seen.get("user0/c"), 2);
  assert.equal(board.seen.has("user1/c"), false);
});

test("of 21 clients of one user the one that was heard longest ago is forgotten, and nobody else's", () => {
  const { board, say } = log();
  say("ada", [], { client: "c0", n: 1 });
  for (let i = 0; i < 21; i++) say("eve", [], { client: `c${i}`, n: 1 });
  assert.equal(board.seen.size, 21);
  assert.deepEqual([board.seen.has("ada/c0"), board.seen.has("eve/c0"), board.seen.has("eve/c1")], [true, false, true]);
});

test("what the server forgets is gone, unless it was restored", () => {
  const { board, say } = log();
  say("ada", [{ add: "a1", kind: "rect", props: note }, { add: "b1", kind: "rect", props: note }, { add: "c1", kind: "rect", props: note }]);
  say("ada", ["a1", "b1", "c1"].map((id) => ({ set: id, props: { deleted: true } })));
  const ids = say("ben", [{ set: "b1", props: { deleted: false } }, { forget: ["a1", "b1", "none"] }]);
  assert.deepEqual([...ids], ["b1", "a1"]);
  assert.deepEqual([[...board.objects.keys()], board.deleted], [["b1", "c1"], ["c1"]]);
  say("ben", [{ set: "a1", props: { deleted: false } }]);
  assert.equal(board.objects.has("a1"), false);
});

test("of long speeches the chat keeps the last 64 KiB", () => {
  const { board, say } = log();
  const bytes = () => new TextEncoder().encode(JSON.stringify(board.chat)).length - 1;
  const speech = "\u0001\u00e4\"".repeat(300);
  for (let i = 0; i < 60; i++) say("ada", [{ chat: speech }]);
  const one = bytes() / board.chat.length;
  assert.ok(bytes() <= 65_536 && bytes() + one > 65_536, `${bytes()} by ${board.chat.length}`);
  assert.equal(board.chat.at(-1).at, 60);
});

test("while somebody edits a note nobody else can edit it, or set its text, but move it", () => {
  const { board, say } = log();
  say("ada", [{ add: "a1", kind: "note", props: note }, { edit: "a1" }]);
  say("bob", [{ edit: "a1" }, { set: "a1", props: { text: "bob's", x: 7 } }, { done: "a1" }]);
  assert.deepEqual([board.objects.get("a1").editing, board.objects.get("a1").text, board.objects.get("a1").x], ["ada", "", 7]);
  say("ada", [{ set: "a1", props: { text: "ada's" } }, { done: "a1" }]);
  say("bob", [{ edit: "a1" }]);
  assert.deepEqual([board.objects.get("a1").editing, board.objects.get("a1").text], ["bob", "ada's"]);
});

test("only a note that is there is edited, and a deleted one no longer", () => {
  const { board, say } = log();
  say("ada", [{ add: "r", kind: "rect", props: note }, { edit: "r" }, { add: "n", kind: "note", props: note }, { edit: "n" }]);
  say("bob", [{ set: "n", props: { deleted: true } }]);
  say("ada", [{ edit: "n" }]);
  assert.equal(board.objects.get("r").editing, null);
  assert.equal(board.objects.get("n").editing, null);
});

test("the activity says what was done, and the same thing in a row once", () => {
  const { say, deeds, board } = log();
  say("ada", [{ add: "a1", kind: "note", props: note }, { set: "a1", props: { x: 9 } }]);
  say("ada", [{ set: "a1", props: { text: "h" } }]);
  say("ada", [{ set: "a1", props: { text: "hi" } }]);
  say("bob", [{ set: "a1", props: { text: "hi" } }, { set: "a1", props: { deleted: true } }, { set: "a1", props: { deleted: true } }]);
  say("ada", [{ set: "a1", props: { deleted: false } }]);
  assert.deepEqual(deeds(), ["ada add a1", "ada text a1", "bob remove a1", "ada restore a1"]);
  assert.equal(board.activity[1].at, 3);
});

test("lists keep the newest: 200 words of the chat, 100 deeds", () => {
  const { board, say } = log();
  for (let i = 0; i < 210; i++) say("ada", [{ chat: `${i}` }, { add: `o${i}`, kind: "rect", props: note }]);
  assert.deepEqual([board.chat.length, board.chat[0].text], [200, "10"]);
  assert.deepEqual([board.activity.length, board.activity[0].id], [100, "o110"]);
});

test("of 501 deleted objects the one that was deleted first is forgotten, and a restored one is none of them", () => {
  const { board, say } = log();
  for (let i = 0; i < 502; i++) say("ada", [{ add: `o${i}`, kind: "rect", props: note }]);
  for (let i = 0; i < 500; i++) say("ada", [{ set: `o${i}`, props: { deleted: true } }]);
  say("ada", [{ set: "o0", props: { deleted: false } }, { set: "o500", props: { deleted: true } }]);
  assert.deepEqual([board.deleted.length, board.deleted[0], board.objects.has("o1")], [500, "o1", true]);
  say("ada", [{ set: "o501", props: { deleted: true } }]);
  assert.deepEqual([board.deleted.length, board.objects.has("o1"), board.objects.has("o0")], [500, false, true]);
});

test("a snapshot is the board", () => {
  const { board, say } = log();
  say("ada", [{ add: "a1", kind: "note", props: note }, { chat: "hi" }, { set: "a1", props: { deleted: true } }], { client: "c1", n: 1 });
  const again = readBoard(JSON.parse(JSON.stringify(writeBoard(board))));
  assert.deepEqual(again, board);
});
