// A line by hand: fewer points than the pen gave, and a smooth path through them.

import { extent, place } from "./geometry.mjs";

/** As many numbers as a stroke may have. */
const mostNumbers = 4_000;

/**
 * The points without those that a straight line would show as well (Douglas and Peucker).
 *
 * @param {number[]} points x and y in turn
 * @param {number} tolerance how far the line may be off
 */
export function simplify(points, tolerance) {
  const count = points.length / 2;
  if (count < 3) return [...points];
  const isKept = new Uint8Array(count);
  isKept[0] = isKept[count - 1] = 1;
  // By hand and not by recursion: a long stroke would be too deep.
  const spans = [[0, count - 1]];
  while (spans.length > 0) {
    const [first, last] = spans.pop();
    let farthest = -1;
    let most = tolerance;
    for (let i = first + 1; i < last; i++) {
      const distance = distanceToSegment(points, i, first, last);
      if (distance > most) [farthest, most] = [i, distance];
    }
    if (farthest < 0) continue;
    isKept[farthest] = 1;
    spans.push([first, farthest], [farthest, last]);
  }
  const kept = [];
  for (let i = 0; i < count; i++) if (isKept[i]) kept.push(points[2 * i], points[2 * i + 1]);
  return kept;
}

/** The stroke as the board takes it: whole numbers, relative to its left upper corner, and not too many. */
export function strokeProps(points, zoom) {
  let tolerance = 0.6 / zoom;
  let kept = simplify(points, tolerance);
  while (kept.length > mostNumbers) kept = simplify(kept, (tolerance *= 1.6));
  const { left, top } = extent(kept);
  const x = place(left);
  const y = place(top);
  return { x, y, points: kept.map((value, i) => place(value - (i % 2 === 0 ? x : y))) };
}

/** Takes the hand's tremble out of the newest point: it goes only a part of the way. */
export function steadied(points, { x, y }, share = 0.65) {
  const [lastX, lastY] = points.slice(-2);
  return points.length === 0 ? { x, y } : { x: lastX + (x - lastX) * share, y: lastY + (y - lastY) * share };
}

/**
 * The path of a stroke, for SVG: a curve that is smooth at each point's neighbours' middle. One point is a dot.
 *
 * @param {number[]} points
 */
export function strokePath(points) {
  const at = (i) => `${round(points[2 * i])} ${round(points[2 * i + 1])}`;
  const count = points.length / 2;
  if (count === 0) return "";
  if (count === 1) return `M${at(0)}l0.01 0`;
  if (count === 2) return `M${at(0)}L${at(1)}`;
  let path = `M${at(0)}`;
  for (let i = 1; i < count - 2; i++) {
    path += `Q${at(i)} ${round((points[2 * i] + points[2 * i + 2]) / 2)} ${round((points[2 * i + 1] + points[2 * i + 3]) / 2)}`;
  }
  return `${path}Q${at(count - 2)} ${at(count - 1)}`;
}

function distanceToSegment(points, i, first, last) {
  const [x, y, ax, ay] = [points[2 * i], points[2 * i + 1], points[2 * first], points[2 * first + 1]];
  const [dx, dy] = [points[2 * last] - ax, points[2 * last + 1] - ay];
  const square = dx * dx + dy * dy;
  const share = square === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / square));
  return Math.hypot(x - ax - share * dx, y - ay - share * dy);
}

function round(value) {
  return Math.round(value * 10) / 10;
}
