import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { Actions } from "../page/actions.mjs";
import { emptyBoard } from "../page/board.mjs";
import { Pending } from "../page/pending.mjs";
import { Shown } from "../page/shown.mjs";

/** A page, and a log that takes what it sends when it is told to. */
function page() {
  const sent = [];
  const refused = [];
  const pending = new Pending("c1", {
    send: (message) => new Promise((resolve) => sent.push({ message, resolve })),
    refused: () => assert.fail("nothing is refused by the log"),
  });
  const shown = new Shown(pending, "me");
  shown.reset(emptyBoard());
  pending.release();
  const actions = new Actions(shown, "c1", { lockedBy: ({ editing }) => (editing === null || editing === "me" ? undefined : editing), refuse: (words) => refused.push(words) });
  const hear = (by, changes, more = {}) => shown.apply({ by, name: by, at: 1, changes, ...more });
  const taken = [];
  const takeAll = async () => {
    for (await turn(); sent.length > 0; await turn()) {
      const { message, resolve } = sent.shift();
      resolve();
      taken.push(message);
    }
  };
  const logAll = async () => {
    await takeAll();
    for (const message of taken.splice(0)) hear("me", message.changes, message);
    assert.equal(pending.untold, 0);
  };
  return { shown, actions, refused, hear, takeAll, logAll, there: () => [...shown.objects].filter(([, { deleted }]) => !deleted) };
}

const rect = { kind: "rect", props: { x: 1, y: 2, w: 30, h: 40, color: 5 } };
const note = { kind: "note", props: { x: 1, y: 2, w: 30, h: 40, color: 5, text: "" } };

for (const [title, between] of [
  ["nothing has left", () => {}],
  ["the first message has left", turn],
  ["all is taken and nothing told", ({ takeAll }) => takeAll()],
  ["all is told", ({ logAll }) => logAll()],
]) {
  test(`an undo brings back all that was deleted at once, far more than the board keeps, when ${title}`, async () => {
    const ada = page();
    const { shown, actions, logAll, there, hear } = ada;
    const models = Array.from({ length: 1_200 }, (_, i) => ({ add: `o${i}`, kind: "rect", props: { ...rect.props, x: i, z: i } }));
    hear("bob", [...models, { add: "s", kind: "stroke", props: { x: 3, y: 4, color: 1, z: 7, width: 6, points: [0, 0, 9, 9] } }]);
    const before = there();
    actions.remove(before.map(([id]) => id));
    assert.equal(there().length, 0);
    await between(ada);
    actions.undo();
    await logAll();
    const seen = (objects) => objects.map(([id, { by, ...object }]) => [id, object]).sort(([a], [b]) => (a < b ? -1 : 1));
    assert.deepEqual(seen(there()), seen(before));
    assert.deepEqual(seen([...shown.board.objects]), seen(before));
    actions.redo();
    await logAll();
    assert.equal(there().length, 0);
  });
}

test("an undo of what one has added leaves what somebody else writes on, or has written on", async () => {
  for (const [changes, why] of [
    [[{ edit: "n" }, { set: "n", props: { text: "an hour of Bob's work" } }], /^1 note stays: it was written on since\.$/],
    [[{ edit: "n" }], /^bob is editing this note\.$/],
    [[{ edit: "n" }, { set: "n", props: { text: "an hour of Bob's work" } }, { done: "n" }], /^1 note stays: it was written on since\.$/],
  ]) {
    const { shown, actions, hear, logAll, refused } = page();
    actions.add([{ id: "n", ...note }]);
    await logAll();
    hear("bob", changes);
    const before = shown.get("n");
    actions.undo();
    await logAll();
    assert.equal(shown.get("n"), before);
    assert.equal(refused.length, 1);
    assert.match(refused[0], why);
  }
});

test("what one has added and written on oneself goes, step by step", async () => {
  const { shown, actions, logAll, refused } = page();
  actions.add([{ id: "n", ...note }]);
  actions.set(new Map([["n", { text: "mine" }]]));
  await logAll();
  actions.undo();
  assert.equal(shown.get("n").text, "");
  actions.undo();
  assert.equal(shown.get("n"), undefined);
  actions.redo();
  actions.redo();
  await logAll();
  assert.equal(shown.get("n").text, "mine");
  assert.deepEqual(refused, []);
});

test("above what lies as high as may be, several find a place", async () => {
  const { shown, actions, logAll, hear } = page();
  hear("bob", [{ add: "top", kind: "rect", props: { ...rect.props, z: 1_000_000_000 } }]);
  const ids = [...actions.add([rect, rect, rect]), ...actions.duplicate(["top"])];
  await logAll();
  for (const id of ids) assert.equal(shown.get(id).z, 1_000_000_000);
});
