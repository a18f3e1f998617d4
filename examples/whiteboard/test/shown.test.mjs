import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { emptyBoard } from "../page/board.mjs";
import { Pending } from "../page/pending.mjs";
import { Shown } from "../page/shown.mjs";

const props = { x: 0, y: 0, w: 9, h: 9, color: 0, z: 1, text: "" };

function page() {
  const refused = [];
  const sent = [];
  const pending = new Pending("c1", {
    send: (message) => new Promise((resolve, reject) => sent.push({ ...message, resolve, reject })),
    refused: (changes) => {
      refused.push(...changes);
      shown.takeBack(changes);
    },
  });
  const shown = new Shown(pending, "me");
  shown.reset(emptyBoard());
  pending.release();
  const hear = (by, changes, more = {}) => shown.apply({ by, name: by, at: 1, changes, ...more });
  return { shown, pending, sent, refused, hear };
}

test("an own change is seen at once, over what the log says meanwhile, and is the log's in the end", async () => {
  const { shown, sent, hear } = page();
  hear("bob", [{ add: "n", kind: "note", props }]);
  shown.change([{ set: "n", props: { x: 5 } }]);
  hear("bob", [{ set: "n", props: { x: 7, y: 7 } }]);
  assert.deepEqual([shown.get("n").x, shown.get("n").y, shown.board.objects.get("n").x], [5, 7, 7]);
  await turn();
  hear("me", sent[0].changes, { client: "c1", n: 1 });
  assert.deepEqual([shown.get("n").x, shown.board.objects.get("n").x], [5, 5]);
  hear("bob", [{ set: "n", props: { x: 8 } }]);
  assert.equal(shown.get("n").x, 8);
});

test("a change that is refused is taken back, and what others did stays", async () => {
  const { shown, sent, refused, hear } = page();
  hear("bob", [{ add: "n", kind: "note", props }]);
  shown.change([{ set: "n", props: { x: 5 } }]);
  await turn();
  hear("bob", [{ set: "n", props: { x: 7 } }]);
  sent[0].reject(Object.assign(new Error(), { code: "bad-change" }));
  await turn();
  assert.equal(shown.get("n").x, 7);
  assert.deepEqual(refused, [{ set: "n", props: { x: 5 } }]);
});

test("who begins to edit after somebody else does not, whatever the page showed before", () => {
  const { shown, hear } = page();
  hear("bob", [{ add: "n", kind: "note", props }]);
  shown.change([{ edit: "n" }, { set: "n", props: { text: "mine" } }]);
  assert.deepEqual([shown.get("n").editing, shown.get("n").text], ["me", "mine"]);
  hear("bob", [{ edit: "n" }]);
  assert.deepEqual([shown.get("n").editing, shown.get("n").text], ["bob", ""]);
});

test("a snapshot that knows of the page's messages takes them off its hands", async () => {
  const { shown, pending, sent } = page();
  shown.change([{ add: "n", kind: "note", props }]);
  await turn();
  assert.equal(sent.length, 1);
  const board = emptyBoard();
  board.seen.set("another/c1", 1);
  shown.reset(board);
  assert.equal(pending.untold, 1, "that is another's");
  board.seen.set("me/c1", 1);
  shown.reset(board);
  // Added, and deleted and forgotten since.
  assert.equal(shown.get("n"), undefined);
  assert.equal(pending.untold, 0);
});
