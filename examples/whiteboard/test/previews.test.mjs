import assert from "node:assert/strict";
import { test } from "node:test";
import { Previews } from "../page/previews.mjs";

function page() {
  const seen = new Map();
  const surface = { preview: (id, props, by) => (props ? seen.set(id, { ...props, by }) : seen.delete(id)) };
  const shown = { on: () => {}, get: (id) => (id.startsWith("n") ? { kind: "note" } : undefined) };
  return { seen, previews: new Previews(surface, shown, "me") };
}

const drag = (id, by = "eve", props = { x: 1, y: 2 }) => ({ id, by, props });

test("what has no place, or none that is a number, is nowhere", () => {
  const { seen, previews } = page();
  for (const props of [{}, { x: 1 }, { y: 1 }, { x: null, y: 1 }, { x: "1", y: 1 }, { x: Infinity, y: 1 }, { x: 1, y: NaN }, null]) previews.take(drag("n", "eve", props));
  assert.equal(seen.size, 0);
  previews.take({ id: "s", by: "eve", kind: "stroke", color: 1, width: 3, points: [1, 2, null, 3] });
  assert.equal(previews.drawers.size, 0);
  previews.take(drag("n"));
  assert.deepEqual([...seen], [["n", { x: 1, y: 2, by: "other" }]]);
  previews.forget(() => false);
  assert.equal(seen.size, 0);
});

test("one who drags ever new things has the newest of them shown, and takes nothing from others", () => {
  const { seen, previews } = page();
  previews.take(drag("nada", "ada"));
  for (let i = 0; i < 1_000; i++) previews.take(drag(`n${i}`));
  assert.ok(seen.size < 50, `${seen.size} are shown`);
  assert.ok(seen.has("nada") && seen.has("n999") && !seen.has("n0"));
  // What is told again is not the oldest.
  const oldest = [...seen.keys()][1];
  previews.take(drag(oldest));
  previews.take(drag("n1000"));
  assert.ok(seen.has(oldest));
  // And a thousand users have no more room.
  for (let i = 0; i < 1_000; i++) previews.take(drag(`n${i}`, `user${i}`));
  assert.ok(seen.size < 500, `${seen.size} are shown`);
  previews.forget(() => false);
  assert.equal(seen.size, 0);
});
