import assert from "node:assert/strict";
import { test } from "node:test";
import { History } from "../page/history.mjs";

const step = (id, prop, before, after) => ({ id, prop, before, after });

test("an undo sets back what is still as the action left it, and a redo sets it again", () => {
  const history = new History();
  const object = { x: 5, color: 1 };
  history.record([step("a", "x", 0, 5), step("a", "color", 0, 1)]);
  assert.deepEqual(history.undo(() => object), [{ set: "a", props: { x: 0, color: 0 } }]);
  assert.deepEqual(history.redo(() => ({ x: 0, color: 0 })), [{ set: "a", props: { x: 5, color: 1 } }]);
});

test("what somebody else has changed since is left alone, and an action without a rest passed over", () => {
  const history = new History();
  history.record([step("a", "x", 0, 5)]);
  history.record([step("a", "y", 0, 1), step("b", "y", 0, 1)]);
  history.record([step("c", "x", 0, 1)]);
  const now = { a: { x: 5, y: 9 }, b: { y: 1 }, c: { x: 77 } };
  assert.deepEqual(history.undo((id) => now[id]), [{ set: "b", props: { y: 0 } }]);
  assert.deepEqual(history.undo((id) => now[id]), [{ set: "a", props: { x: 0 } }]);
  assert.deepEqual(history.undo((id) => now[id]), []);
});

test("a series is one action, until it ends", () => {
  const history = new History();
  history.record([step("a", "x", 0, 1)], "nudge a");
  history.record([step("a", "x", 1, 2), step("a", "y", 0, 1)], "nudge a");
  history.endSeries();
  history.record([step("a", "x", 2, 3)], "nudge a");
  assert.deepEqual(history.undo(() => ({ x: 3, y: 1 })), [{ set: "a", props: { x: 2 } }]);
  assert.deepEqual(history.undo(() => ({ x: 2, y: 1 })), [{ set: "a", props: { x: 0, y: 0 } }]);
});

test("a new action takes the way back to what was undone, one that changes nothing does not", () => {
  const history = new History();
  history.record([step("a", "x", 0, 1)]);
  history.undo(() => ({ x: 1 }));
  history.record([step("a", "x", 0, 0)]);
  assert.equal(history.canRedo, true);
  history.record([step("a", "y", 0, 1)]);
  assert.equal(history.canRedo, false);
});
