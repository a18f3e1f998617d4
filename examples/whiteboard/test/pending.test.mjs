import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { Pending } from "../page/pending.mjs";

/** A server that answers when it is told to. */
function server() {
  const sent = [];
  const refused = [];
  const pending = new Pending("c1", {
    send: (message) => new Promise((resolve, reject) => sent.push({ ...message, resolve, reject })),
    refused: (changes, error) => refused.push({ changes, code: error.code }),
  });
  pending.release();
  return { pending, sent, refused };
}

const failed = (code) => Object.assign(new Error(code), { code });
const add = (id) => ({ add: id, kind: "rect", props: { x: 0 } });
const set = (id, props) => ({ set: id, props });

test("one message is under way, and what is done meanwhile goes together in the next", async () => {
  const { pending, sent } = server();
  pending.push([add("a")]);
  await turn();
  pending.push([set("a", { x: 1 })]);
  pending.push([set("a", { x: 2, y: 2 }), set("b", { x: 3 })]);
  await turn();
  assert.equal(sent.length, 1);
  sent[0].resolve();
  await turn();
  assert.deepEqual(sent.map(({ n, changes }) => [n, changes]), [
    [1, [add("a")]],
    [2, [set("a", { x: 2, y: 2 }), set("b", { x: 3 })]],
  ]);
});

test("sets are merged with the last of the object, not past its edit or done, and no deletion into an add", async () => {
  const { pending, sent } = server();
  pending.push([add("a"), set("a", { x: 1 }), { edit: "a" }, set("a", { text: "t" }), set("a", { text: "te" }), { done: "a" }, set("a", { x: 2 })]);
  pending.push([add("b"), set("b", { deleted: true })]);
  await turn();
  assert.deepEqual(sent[0].changes, [
    { add: "a", kind: "rect", props: { x: 1 } },
    { edit: "a" },
    set("a", { text: "te" }),
    { done: "a" },
    set("a", { x: 2 }),
    add("b"),
    set("b", { deleted: true }),
  ]);
});

test("a lost message is sent again, the very same, once there is a connection", async () => {
  const { pending, sent } = server();
  pending.push([add("a")]);
  await turn();
  pending.hold();
  sent[0].reject(failed("unconfirmed"));
  pending.push([set("a", { x: 1 })]);
  await turn();
  assert.equal(sent.length, 1);
  assert.equal(pending.unsent, 2);
  pending.release();
  await turn();
  assert.deepEqual([sent[1].n, sent[1].changes], [1, [add("a")]]);
  sent[1].resolve();
  await turn();
  assert.equal(sent[2].n, 2);
});

test("a message that the log has told is not sent again, whatever becomes of its answer", async () => {
  const { pending, sent, refused } = server();
  pending.push([add("a")]);
  await turn();
  pending.hold();
  pending.told("c1", 1);
  sent[0].reject(failed("locked"));
  pending.release();
  await turn();
  assert.equal(sent.length, 1);
  assert.deepEqual(refused, []);
  assert.equal(pending.untold, 0);
});

test("a message stays pending after its answer until the log tells it", async () => {
  const { pending, sent } = server();
  pending.push([add("a")]);
  await turn();
  sent[0].resolve();
  await turn();
  assert.deepEqual([pending.unsent, pending.untold], [0, 1]);
  pending.told("another", 1);
  assert.equal(pending.untold, 1);
  assert.deepEqual(pending.told("c1", 1), [add("a")]);
  assert.equal(pending.untold, 0);
});

test("what is refused goes by objects, and the one that is refused again is dropped, with what was to become of it", async () => {
  const { pending, sent, refused } = server();
  pending.push([set("a", { x: 1 }), add("b"), { chat: "hello" }]);
  await turn();
  pending.push([set("b", { x: 5 }), set("c", { x: 6 })]);
  sent[0].reject(failed("bad-change"));
  await turn();
  assert.deepEqual([sent[1].n, sent[1].changes], [2, [set("a", { x: 1 })]]);
  sent[1].resolve();
  await turn();
  sent[2].reject(failed("bad-change"));
  await turn();
  assert.deepEqual(refused, [{ changes: [add("b"), set("b", { x: 5 })], code: "bad-change" }]);
  assert.deepEqual(sent[3].changes, [{ chat: "hello" }]);
  sent[3].resolve();
  await turn();
  assert.deepEqual(sent[4].changes, [set("c", { x: 6 })]);
});

test("a message has at most 200 changes and 48 KiB, and nothing is lost for that", async () => {
  const { pending, sent } = server();
  const long = "x".repeat(20_000);
  pending.push(Array.from({ length: 450 }, (_, i) => add(`o${i}`)));
  pending.push(Array.from({ length: 5 }, (_, i) => ({ chat: `${i}${long}` })));
  for (let i = 0; i < 10; i++) {
    await turn();
    sent[i]?.resolve();
  }
  assert.deepEqual(sent.map(({ changes }) => changes.length), [200, 200, 52, 2, 1]);
  assert.ok(sent.every(({ changes }) => JSON.stringify(changes).length < 64 * 1024));
});

test("what a page leaves behind has its numbers, and the next one sends it as it is", async () => {
  const { pending, sent } = server();
  pending.push([add("a")]);
  await turn();
  pending.push([set("a", { x: 1 })]);
  assert.deepEqual(pending.freeze(), [
    { client: "c1", n: 1, changes: [add("a")] },
    { client: "c1", n: 2, changes: [set("a", { x: 1 })] },
  ]);
  assert.equal(sent.length, 1);

  const next = server();
  next.pending.hold();
  next.pending.adopt(pending.freeze().map((message) => ({ ...message, client: "before" })));
  next.pending.push([add("b")]);
  await turn();
  assert.equal(next.pending.unsent, 3);
  next.pending.told("before", 1);
  next.pending.release();
  next.sent[0].resolve();
  await turn();
  assert.deepEqual(next.sent.map(({ client, n }) => [client, n]), [["before", 2], ["c1", 1]]);
});
