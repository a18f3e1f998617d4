import assert from "node:assert/strict";
import { test } from "node:test";
import { History } from "../page/history.mjs";

const step = (id, prop, before, after) => ({ id, prop, before, after });
const propsOf = ({ props }) => Object.fromEntries(props);

test("an undo sets back what is still as the action left it, and a redo sets it again", () => {
  const history = new History();
  const object = { x: 5, color: 1 };
  history.record([step("a", "x", 0, 5), step("a", "color", 0, 1)]);
  assert.deepEqual(propsOf(history.undo(() => object)), { a: { x: 0, color: 0 } });
  assert.deepEqual(propsOf(history.redo(() => ({ x: 0, color: 0 }))), { a: { x: 5, color: 1 } });
});

test("what somebody else has changed since is left alone, and an action without a rest passed over", () => {
  const history = new History();
  history.record([step("a", "x", 0, 5)]);
  history.record([step("a", "y", 0, 1), step("b", "y", 0, 1)]);
  history.record([step("c", "x", 0, 1)]);
  const now = { a: { x: 5, y: 9 }, b: { y: 1 }, c: { x: 77 } };
  assert.deepEqual(propsOf(history.undo((id) => now[id])), { b: { y: 0 } });
  assert.deepEqual(propsOf(history.undo((id) => now[id])), { a: { x: 0 } });
  assert.deepEqual(propsOf(history.undo((id) => now[id])), {});
});

test("a series is one action, until it ends", () => {
  const history = new History();
  history.record([step("a", "x", 0, 1)], "nudge a");
  history.record([step("a", "x", 1, 2), step("a", "y", 0, 1)], "nudge a");
  history.endSeries();
  history.record([step("a", "x", 2, 3)], "nudge a");
  assert.deepEqual(propsOf(history.undo(() => ({ x: 3, y: 1 }))), { a: { x: 2 } });
  assert.deepEqual(propsOf(history.undo(() => ({ x: 2, y: 1 }))), { a: { x: 0, y: 0 } });
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

test("what was added stays where it was written on since, and the rest of the action goes", () => {
  const history = new History();
  const added = (id) => ({ ...step(id, "deleted", true, false), object: { kind: "note", text: "" } });
  history.record([step("c", "x", 0, 1)]);
  history.record([added("a"), added("b")]);
  const now = { a: { deleted: false, text: "an hour of work" }, b: { deleted: false, text: "" }, c: { x: 1 } };
  const taken = history.undo((id) => now[id]);
  assert.deepEqual([propsOf(taken), taken.spared], [{ b: { deleted: true } }, ["a"]]);
  assert.deepEqual(propsOf(history.undo((id) => now[id])), { c: { x: 0 } });
  // One that stays is all that there is to say: what was done before is another step.
  history.record([step("c", "x", 0, 1)]);
  history.record([added("a")]);
  assert.deepEqual(history.undo((id) => now[id]), { props: new Map(), revived: new Map(), spared: ["a"] });
});

test("what was deleted comes back, though the board has forgotten it, and goes again only as it was", () => {
  const history = new History();
  const object = { kind: "note", text: "kept", x: 1, deleted: false };
  history.record([{ ...step("a", "deleted", false, true), object }]);
  const taken = history.undo(() => undefined);
  assert.deepEqual([propsOf(taken), [...taken.revived]], [{ a: { deleted: false } }, [["a", object]]]);
  assert.deepEqual(history.redo(() => ({ ...object, text: "written on" })).spared, ["a"]);
  history.undo(() => undefined);
  assert.deepEqual(propsOf(history.redo(() => object)), { a: { deleted: true } });
});
