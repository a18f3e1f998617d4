// Where one looks at the board from: the place in the board that is at the screen's left upper corner, and how large things are.

import { clamp } from "./geometry.mjs";

export const leastZoom = 0.05;
export const mostZoom = 8;

export class Camera {
  /** Of the screen's corner, in the board's units. */
  x = 0;
  y = 0;
  zoom = 1;
  #heard = new Set();

  /** @param {() => void} listener */
  on(listener) {
    this.#heard.add(listener);
  }

  /** @param {{ x: number, y: number }} point on the screen */
  toBoard({ x, y }) {
    return { x: this.x + x / this.zoom, y: this.y + y / this.zoom };
  }

  /** @param {{ x: number, y: number }} point on the board */
  toScreen({ x, y }) {
    return { x: (x - this.x) * this.zoom, y: (y - this.y) * this.zoom };
  }

  /** Moves by so many pixels of the screen. */
  pan(dx, dy) {
    this.#set(this.x - dx / this.zoom, this.y - dy / this.zoom, this.zoom);
  }

  /** What is at this point of the screen stays there. */
  zoomTo(zoom, point) {
    const kept = this.toBoard(point);
    const next = clamp(zoom, leastZoom, mostZoom);
    this.#set(kept.x - point.x / next, kept.y - point.y / next, next);
  }

  /** Puts a place of the board into the middle of a screen of this size. */
  centre({ x, y }, { width, height }, zoom = this.zoom) {
    this.#set(x - width / 2 / zoom, y - height / 2 / zoom, zoom);
  }

  /** Shows all of a box, not larger than it is, with room for what stands around the board. */
  fit(box, size, margin = 96) {
    const room = { width: Math.max(64, size.width - 2 * Math.min(margin, size.width * 0.06)), height: Math.max(64, size.height - 2 * margin) };
    const zoom = clamp(Math.min(room.width / Math.max(1, box.w), room.height / Math.max(1, box.h), 1), leastZoom, mostZoom);
    this.centre({ x: box.x + box.w / 2, y: box.y + box.h / 2 }, size, zoom);
  }

  #set(x, y, zoom) {
    this.x = clamp(x, -200_000, 200_000);
    this.y = clamp(y, -200_000, 200_000);
    this.zoom = zoom;
    for (const listener of this.#heard) listener();
  }
}
