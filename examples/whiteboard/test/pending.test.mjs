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

test("a page that comes back sends what nobody took meanwhile, what did not fit, and what lies there of another", async () => {
  const { pending, sent } = server();
  pending.push([add("a")]);
  await turn();
  pending.hold();
  pending.push([{ chat: "b" }]);
  const [first, second] = pending.freeze();
  // The first was kept for the next page, which took it; for the second there was no room.
  const other = { client: "c2", n: 1, changes: [{ chat: "from the other" }] };
  assert.deepEqual(pending.regain([first], [other]), [add("a")]);
  sent[0].reject(failed("unconfirmed"));
  pending.push([{ chat: "c" }]);
  pending.release();
  for (let i = 1; i <= 3; i++) {
    sent[i].resolve();
    await turn();
  }
  assert.deepEqual(sent.slice(1).map(({ client, n }) => [client, n]), [["c2", 1], ["c1", 2], ["c1", 3]]);
  assert.equal(second.n, 2);
});

test("a page that comes back, and nobody was here, goes on as if it had stayed", async () => {
  const { pending, sent } = server();
  pending.push([add("a")]);
  await turn();
  pending.hold();
  pending.push([set("a", { x: 1 })]);
  const left = pending.freeze();
  sent[0].reject(failed("unconfirmed"));
  assert.deepEqual(pending.regain(left, structuredClone(left)), []);
  assert.deepEqual([...pending.changes()], [add("a"), set("a", { x: 1 })]);
  pending.release();
  assert.equal(sent[1].n, 1);
});

for (const code of ["http-404", "http-403", "http-400", "http-502", "unconfirmed", undefined]) {
  test(`an answer that is not the server's throws nothing away, as ${code}`, async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { pending, sent, refused } = server();
    pending.push([add("a")]);
    await turn();
    sent[0].reject(Object.assign(new Error("<h1>no</h1>"), { code, status: Number(code?.slice(5)) || undefined }));
    await turn();
    assert.deepEqual([sent.length, pending.unsent, refused], [1, 1, []]);
    t.mock.timers.tick(500);
    assert.deepEqual([sent[1].n, sent[1].changes], [1, [add("a")]]);
    sent[1].resolve();
    await turn();
    assert.equal(pending.unsent, 0);
  });
}

/** A page whose first message, which another has left, was just refused as a whole. */
async function refusedOnce() {
  const page = server();
  page.pending.hold();
  page.pending.adopt([
    { client: "old", n: 1, changes: [set("x", { text: "" }), add("b"), { chat: "first" }] },
    { client: "old", n: 2, changes: [set("b", { x: 500 }), { chat: "second" }] },
  ]);
  page.pending.push([set("b", { x: 600 })]);
  page.pending.release();
  page.sent[0].reject(failed("locked"));
  await turn();
  return page;
}

const inOrder = [set("x", { text: "" }), add("b"), { chat: "first" }, set("b", { x: 500 }), { chat: "second" }, set("b", { x: 600 })];

test("what is left of a refused message goes before what the page before has left behind it", async () => {
  const { pending, sent, refused } = await refusedOnce();
  assert.deepEqual([...pending.changes()], inOrder);
  sent[1].reject(failed("locked"));
  for (let i = 2; i <= 5; i++) {
    await turn();
    sent[i].resolve();
  }
  assert.deepEqual(sent.slice(2).flatMap(({ changes }) => changes), inOrder.slice(1));
  assert.deepEqual(refused, [{ changes: [set("x", { text: "" })], code: "locked" }]);
});

test("what is left of a refused message is left behind in its order", async () => {
  const { pending, sent, refused } = await refusedOnce();
  assert.deepEqual(pending.freeze().flatMap(({ changes }) => changes), inOrder);
  // What a page hears that was put away is heard by the one that has its messages now.
  sent[1].reject(failed("locked"));
  await turn();
  assert.deepEqual(refused, []);
});

for (const [room, most] of [
  [37, 150],
  [150, 150],
  [2_900, 50],
]) {
  test(`on a full board what finds room is found by halves, and the rest is given up at once: room for ${room}`, async () => {
    const refused = [];
    const taken = [];
    let count = 0;
    let left = room;
    const pending = new Pending("c1", {
      send: async ({ changes }) => {
        count += 1;
        const more = changes.filter((change) => "add" in change).length;
        if (more > left) throw failed("board-full");
        left -= more;
        taken.push(...changes);
      },
      refused: (changes) => refused.push(...changes),
    });
    pending.release();
    const copies = Array.from({ length: 2_980 }, (_, i) => add(`o${i}`));
    pending.push([...copies.slice(0, 20), { chat: "in the midst" }, ...copies.slice(20)]);
    pending.push([set("a", { x: 777 })]);
    for (let i = 0; i < 10_000 && pending.unsent > 0; i++) await turn();
    assert.deepEqual(taken, [...copies.slice(0, 20), { chat: "in the midst" }, ...copies.slice(20, room), set("a", { x: 777 })]);
    assert.deepEqual(refused, copies.slice(room));
    assert.ok(count < most, `${count} messages`);
  });
}

test("who says more than there is room for loses those words alone", async () => {
  const { pending, sent, refused } = server();
  pending.push([{ chat: "long" }, { chat: "short" }, add("a"), add("b")]);
  await turn();
  for (const at of [0, 1, 2]) {
    sent[at].reject(failed("board-full"));
    await turn();
  }
  for (const at of [3, 4]) {
    sent[at].resolve();
    await turn();
  }
  assert.deepEqual(sent.slice(3).map(({ changes }) => changes), [[{ chat: "short" }], [add("a"), add("b")]]);
  assert.deepEqual(refused, [{ changes: [{ chat: "long" }], code: "board-full" }]);
});

test("what a page before has done with an object that is refused now is refused with it", async () => {
  const { pending, sent, refused } = server();
  pending.hold();
  pending.adopt([
    { client: "old", n: 1, changes: [add("b")] },
    { client: "old", n: 2, changes: [{ edit: "b" }, { chat: "hello" }] },
    { client: "old", n: 3, changes: [set("b", { text: "written" })] },
  ]);
  pending.release();
  sent[0].reject(failed("board-full"));
  await turn();
  assert.deepEqual(refused[0].changes, [add("b"), { edit: "b" }, set("b", { text: "written" })]);
  assert.deepEqual([sent[1].n, sent[1].changes], [2, [{ chat: "hello" }]]);
});

test("changes are stuck that wait for longer than a server takes, not those that others follow", async (t) => {
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const { pending, sent } = server();
  const waits = (milliseconds) => {
    now += milliseconds;
    return pending.isStuck;
  };
  assert.equal(waits(5_000), false);
  // A slow line, on which somebody types.
  pending.push([add("a")]);
  for (let i = 0; i < 20; i++) {
    await turn();
    pending.push([set("a", { x: i })]);
    assert.equal(waits(1_000), false);
    sent[i].resolve();
  }
  // And one that is silent.
  await turn();
  assert.equal(waits(2_000), true);
  sent.at(-1).resolve();
  await turn();
  assert.equal(waits(5_000), false);
  // What takes several messages waits until the last is under way, though each comes through.
  pending.push(Array.from({ length: 500 }, (_, i) => add(`o${i}`)));
  await turn();
  now += 1_000;
  sent.at(-1).resolve();
  await turn();
  assert.equal(waits(1_000), true);
  sent.at(-1).resolve();
  await turn();
  assert.equal(waits(1_000), false);
});

test("nothing is stuck where what waited was withdrawn", async (t) => {
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const { pending } = server();
  pending.hold();
  pending.push([set("a", { text: "x" })]);
  await turn();
  now = 5_000;
  assert.equal(pending.isStuck, true);
  pending.withdraw(() => undefined);
  assert.deepEqual([pending.isStuck, pending.unsent], [false, 0]);
});
