import assert from "node:assert/strict";
import { test } from "node:test";
import { readObjects } from "../page/clipboard.mjs";
import { fitted } from "../page/note-text.mjs";

test("a text that fits goes as it is", () => {
  for (const text of ["", "word", "😀".repeat(2_000)]) assert.deepEqual(fitted(text), { text });
});

test("one that is longer is cut between characters, and it is said how much is left out", () => {
  assert.deepEqual(fitted(`a${"😀".repeat(2_000)}`), {
    text: `a${"😀".repeat(1_999)}`,
    warning: "A note has room for 2,000 characters: the last 1 character is left out.",
  });
  assert.match(fitted("word ".repeat(2_000)).warning, /the last 8,000 characters are left out/);
});

test("half a character, as other programs may cut one, becomes one that can be sent", () => {
  const { text } = fitted("half: \ud83d");
  assert.equal(text, "half: \ufffd");
});

test("from a clipboard all that can stand on a board is read, and what is no object is not", () => {
  const rect = { kind: "rect", props: { x: 1, y: 2, w: 3, h: 4, color: 5 } };
  const stroke = { kind: "stroke", props: { x: 1, y: 2, color: 5, width: 3, points: [0, 0, 1, 1] } };
  const read = (objects) => readObjects(JSON.stringify(objects));
  assert.deepEqual(read([rect, stroke]), { objects: [rect, stroke] });
  const broken = [null, 7, {}, { kind: "rect" }, { kind: "rect", props: null }, { kind: "house", props: rect.props }, { kind: "rect", props: { x: 1, y: 2 } }, { kind: "stroke", props: { x: 1, y: 2 } }, { ...stroke, props: { ...stroke.props, points: [] } }, { ...stroke, props: { ...stroke.props, points: [0, "1"] } }];
  assert.deepEqual(read([...broken, rect]), { objects: [rect] });
  assert.deepEqual(readObjects("no JSON"), { objects: [] });
  assert.deepEqual(read({}), { objects: [] });
  const { objects, warning } = read(Array(3_001).fill(rect));
  assert.equal(objects.length, 3_000);
  assert.match(warning, /3,000 objects.*1 object is left out/);
});
