import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { Pending } from "../page/pending.mjs";
import { withoutText } from "../page/without-text.mjs";

function page() {
  const sent = [];
  const pending = new Pending("c1", {
    send: (message) => new Promise((resolve, reject) => sent.push({ ...message, resolve, reject })),
    refused: () => assert.fail("nothing is refused"),
  });
  return { pending, sent };
}

const writing = [{ edit: "n" }, { set: "n", props: { x: 5, text: "mine" } }, { set: "m", props: { text: "another's" } }, { done: "n" }];
const rest = [{ set: "n", props: { x: 5 } }, { set: "m", props: { text: "another's" } }];

test("what was written on a note does not leave, and all else does", async () => {
  const { pending, sent } = page();
  pending.push(writing);
  await turn();
  pending.withdraw((change) => withoutText(change, "n"));
  assert.deepEqual([...pending.changes()], rest);
  pending.release();
  assert.deepEqual(sent.map(({ n, changes }) => ({ n, changes })), [{ n: 1, changes: rest }]);
});

test("a message that may have arrived keeps its number without the text, and is none where nothing is left", async () => {
  for (const [changes, left] of [[writing, rest], [[{ edit: "n" }], []]]) {
    const { pending, sent } = page();
    pending.release();
    pending.push(changes);
    await turn();
    pending.hold();
    sent[0].reject(new Error("the connection is lost"));
    await turn();
    pending.withdraw((change) => withoutText(change, "n"));
    pending.push([{ chat: "on" }]);
    await turn();
    pending.release();
    if (left.length === 0) assert.deepEqual(sent.slice(1).map(({ n, changes }) => ({ n, changes })), [{ n: 2, changes: [{ chat: "on" }] }]);
    else assert.deepEqual({ n: sent[1].n, changes: sent[1].changes }, { n: 1, changes: left });
  }
});

/** A page that has withdrawn a part of what is under way. */
async function withdrawn(changes) {
  const { pending, sent } = page();
  pending.release();
  pending.push(changes);
  await turn();
  assert.deepEqual(sent[0].changes, changes);
  pending.withdraw((change) => withoutText(change, "n"));
  return { pending, sent };
}

test("what is under way is seen without the text, and not sent with it once more", async () => {
  const { pending, sent } = await withdrawn(writing);
  assert.deepEqual([...pending.changes()], rest);
  pending.hold();
  sent[0].reject(Object.assign(new Error(), { code: "unconfirmed" }));
  await turn();
  pending.release();
  assert.deepEqual(sent.slice(1).map(({ n, changes }) => ({ n, changes })), [{ n: 1, changes: rest }]);
});

test("a refusal of what is withdrawn takes nothing along that is left", async () => {
  const { sent } = await withdrawn(writing);
  sent[0].reject(Object.assign(new Error(), { code: "locked", status: 409 }));
  await turn();
  assert.deepEqual(sent.slice(1).map(({ n, changes }) => ({ n, changes })), [{ n: 2, changes: rest }]);
});

test("a message of which nothing is left is not sent again, however it failed, and the next goes", async () => {
  for (const code of ["unconfirmed", "locked"]) {
    const { pending, sent } = await withdrawn([{ set: "n", props: { text: "mine" } }]);
    sent[0].reject(Object.assign(new Error(), { code, status: 409 }));
    pending.push([{ chat: "on" }]);
    await turn();
    assert.deepEqual(sent.slice(1).map(({ n, changes }) => ({ n, changes })), [{ n: 2, changes: [{ chat: "on" }] }]);
  }
});

test("a note that is new takes its text along", async () => {
  const { pending } = page();
  const added = [{ add: "n", kind: "note", props: { x: 0, text: "" } }];
  pending.push([...added, { set: "n", props: { text: "mine" } }]);
  pending.withdraw((change) => withoutText(change, "n"));
  assert.deepEqual([...pending.changes()], [{ add: "n", kind: "note", props: { x: 0, text: "mine" } }]);
});
