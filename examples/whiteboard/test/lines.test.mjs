import assert from "node:assert/strict";
import { test } from "node:test";
import { Camera } from "../page/camera.mjs";
import { fitText } from "../page/fit-text.mjs";
import { around, boxOf, carried, cornerFrom, dragged, onBoard } from "../page/geometry.mjs";
import { simplify, strokePath, strokeProps } from "../page/stroke.mjs";

test("a straight line keeps its ends, a corner stays", () => {
  assert.deepEqual(simplify([0, 0, 5, 0, 10, 0, 10, 5, 10, 10], 0.5), [0, 0, 10, 0, 10, 10]);
  // A zigzag is nothing but corners.
  const zigzag = [0, 0, 10, 10, 20, 0, 30, 10, 40, 0, 50, 10, 60, 0];
  assert.deepEqual(simplify(zigzag, 0.5), zigzag);
  assert.deepEqual(simplify([3, 3], 1), [3, 3]);
});

test("a stroke is whole numbers from its own corner, 4,000 of them at most, and has at least one point", () => {
  const wild = Array.from({ length: 20_000 }, (_, i) => (i % 2 ? (i * 7_919) % 500 : i / 10));
  const { points } = strokeProps(wild, 8);
  assert.ok(points.length >= 2 && points.length <= 4_000 && points.length % 2 === 0);
  assert.ok(points.every(Number.isInteger));
  assert.deepEqual(strokeProps([10.4, 20.6, 12.4, 30.4], 1), { x: 10, y: 21, points: [0, 0, 2, 9] });
  assert.deepEqual(strokeProps([7, 7], 1), { x: 7, y: 7, points: [0, 0] });
});

test("a path goes from the first point to the last", () => {
  assert.equal(strokePath([1, 2]), "M1 2l0.01 0");
  assert.match(strokePath([0, 0, 5, 5, 9, 0, 12, 3]), /^M0 0Q5 5 .*12 3$/);
});

test("a stroke's box has room for its pen", () => {
  assert.deepEqual(boxOf({ kind: "stroke", x: 10, y: 10, width: 4, points: [0, 0, 20, 5] }), { x: 8, y: 8, w: 24, h: 9 });
  assert.deepEqual(around([{ x: 0, y: 0, w: 1, h: 1 }, { x: 5, y: -5, w: 5, h: 1 }]), { x: 0, y: -5, w: 10, h: 6 });
  assert.equal(around([]), undefined);
});

test("a handle moves its side, and not beyond the least size", () => {
  const box = { x: 0, y: 0, w: 100, h: 50 };
  assert.deepEqual(dragged(box, "nw", { x: 10, y: 10 }, { least: 8 }), { x: 10, y: 10, w: 90, h: 40 });
  assert.deepEqual(dragged(box, "w", { x: 500, y: 10 }, { least: 8 }), { x: 92, y: 0, w: 8, h: 50 });
  assert.deepEqual(dragged(box, "se", { x: 100, y: 0 }, { least: 8, keepsShape: true }), { x: 0, y: 0, w: 200, h: 100 });
  assert.deepEqual(carried({ x: 50, y: 0, w: 50, h: 50 }, box, { x: 0, y: 0, w: 200, h: 100 }), { x: 100, y: 0, w: 100, h: 100 });
});

test("what is under the pointer stays there while one zooms", () => {
  const camera = new Camera();
  camera.pan(-130, 40);
  const point = { x: 200, y: 100 };
  const before = camera.toBoard(point);
  camera.zoomTo(2.5, point);
  const after = camera.toBoard(point);
  assert.ok(Math.hypot(before.x - after.x, before.y - after.y) < 1e-9);
  assert.deepEqual(camera.toScreen(after), point);
  camera.zoomTo(1_000, point);
  assert.equal(camera.zoom, 8);
});

test("all of a box is seen when it is fitted, and no larger than it is", () => {
  const camera = new Camera();
  camera.fit({ x: 0, y: 0, w: 4_000, h: 100 }, { width: 1_000, height: 800 });
  assert.ok(camera.toScreen({ x: 4_000, y: 0 }).x <= 1_000 && camera.toScreen({ x: 0, y: 0 }).x >= 0);
  camera.fit({ x: 0, y: 0, w: 10, h: 10 }, { width: 1_000, height: 800 });
  assert.equal(camera.zoom, 1);
});

test("a text is as large as fits, and small where nothing does", () => {
  const widthOf = (word) => word.length * 0.5;
  const room = { w: 168, h: 168 };
  const sizeOf = (text) => fitText(text, room, widthOf).size;
  assert.equal(sizeOf("Hi"), 28);
  const sizes = [20, 60, 120, 240, 480].map((count) => sizeOf("word ".repeat(count / 4)));
  assert.deepEqual(sizes, [...sizes].sort((a, b) => b - a));
  assert.equal(sizeOf("word ".repeat(2_000)), 11);
  // A word is not broken where a size that can well be read keeps it whole.
  assert.equal(sizeOf("wheelbarrows,"), 24);
  // A word that no line has room for is broken, and takes as many as it needs.
  assert.ok(sizeOf("w".repeat(200)) < sizeOf("w".repeat(20)));
});

test("a text that is not all seen, however small it is, is known to be cut", () => {
  const isCut = (text) => fitText(text, { w: 168, h: 168 }, (word) => word.length * 0.5).isCut;
  assert.equal(isCut("word ".repeat(60)), false);
  assert.equal(isCut("word ".repeat(400)), true);
  assert.equal(isCut("w".repeat(2_000)), true);
});

test("what is drawn beyond where anything may lie, or larger than it may be, ends there", () => {
  assert.deepEqual(onBoard({ x: -150_000, y: 7 }), { x: -100_000, y: 7 });
  assert.deepEqual(cornerFrom({ x: 0, y: 0 }, { x: 24_600, y: -30 }), { x: 20_000, y: -30 });
  assert.deepEqual(cornerFrom({ x: 95_000, y: 0 }, { x: 130_000, y: -24_000 }), { x: 100_000, y: -20_000 });
});
