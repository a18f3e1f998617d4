// Boxes and points, in the board's units.

/** @typedef {{ x: number, y: number, w: number, h: number }} Box */

export const farthest = 100_000;
export const largest = 20_000;

export function clamp(value, least, most) {
  return Math.min(most, Math.max(least, value));
}

/** What an object covers, with the thickness of its pen. @param {import("./board.mjs").BoardObject} object @returns {Box} */
export function boxOf(object) {
  if (object.kind !== "stroke") return { x: object.x, y: object.y, w: object.w, h: object.h };
  const { left, top, right, bottom } = extent(object.points);
  const half = object.width / 2;
  return { x: object.x + left - half, y: object.y + top - half, w: right - left + object.width, h: bottom - top + object.width };
}

/** How far points reach. @param {number[]} points */
export function extent(points) {
  let left = Infinity;
  let top = Infinity;
  let right = -Infinity;
  let bottom = -Infinity;
  for (let i = 0; i < points.length; i += 2) {
    left = Math.min(left, points[i]);
    right = Math.max(right, points[i]);
    top = Math.min(top, points[i + 1]);
    bottom = Math.max(bottom, points[i + 1]);
  }
  return { left, top, right, bottom };
}

/** The box around boxes. @param {Iterable<Box>} boxes @returns {Box | undefined} */
export function around(boxes) {
  const points = [];
  for (const { x, y, w, h } of boxes) points.push(x, y, x + w, y + h);
  if (points.length === 0) return undefined;
  const { left, top, right, bottom } = extent(points);
  return { x: left, y: top, w: right - left, h: bottom - top };
}

/** The box that two of its corners make. @returns {Box} */
export function between(a, b) {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), w: Math.abs(a.x - b.x), h: Math.abs(a.y - b.y) };
}

/** Where something may lie, as near to a point as that is. @returns {{ x: number, y: number }} */
export function onBoard({ x, y }) {
  return { x: clamp(x, -farthest, farthest), y: clamp(y, -farthest, farthest) };
}

/** The other corner of a box that begins at a place of the board: as near to a point as the board allows. @returns {{ x: number, y: number }} */
export function cornerFrom(start, { x, y }) {
  return onBoard({ x: clamp(x, start.x - largest, start.x + largest), y: clamp(y, start.y - largest, start.y + largest) });
}

/** @param {Box} a @param {Box} b */
export function meet(a, b) {
  return a.x <= b.x + b.w && b.x <= a.x + a.w && a.y <= b.y + b.h && b.y <= a.y + a.h;
}

/**
 * A box after one of its handles was dragged. The opposite side stays where it is.
 *
 * @param {Box} box
 * @param {string} handle out of n, e, s, w
 * @param {{ x: number, y: number }} by
 * @param {{ least: number, keepsShape?: boolean }} how
 * @returns {Box}
 */
export function dragged(box, handle, by, { least, keepsShape = false }) {
  const dx = handle.includes("e") ? by.x : handle.includes("w") ? -by.x : 0;
  const dy = handle.includes("s") ? by.y : handle.includes("n") ? -by.y : 0;
  let w = Math.max(least, box.w + dx);
  let h = Math.max(least, box.h + dy);
  if (keepsShape && handle.length === 2) {
    const scale = Math.max(w / box.w, h / box.h);
    w = box.w * scale;
    h = box.h * scale;
  }
  w = Math.min(w, largest);
  h = Math.min(h, largest);
  return {
    x: handle.includes("w") ? box.x + box.w - w : box.x,
    y: handle.includes("n") ? box.y + box.h - h : box.y,
    w,
    h,
  };
}

/** Where a box inside `from` comes to lie when `from` becomes `to`. @returns {Box} */
export function carried(box, from, to) {
  const sx = from.w > 0 ? to.w / from.w : 1;
  const sy = from.h > 0 ? to.h / from.h : 1;
  return { x: to.x + (box.x - from.x) * sx, y: to.y + (box.y - from.y) * sy, w: box.w * sx, h: box.h * sy };
}

/** A place as the board takes it. */
export function place(value) {
  // Zero has one sign only.
  return Math.round(clamp(value, -farthest, farthest)) + 0;
}

/** A length as the board takes it. */
export function length(value, least = 8) {
  return Math.round(clamp(value, least, largest));
}

/** A depth as the board takes it. */
export function level(value) {
  return clamp(value, 0, 1_000_000_000);
}
