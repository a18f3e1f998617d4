// What the others see of what the user is doing: the cursor, and what is being drawn or dragged. None of it is kept, and each at most ten times a
// second: the newest counts.

/** In milliseconds. */
const interval = 100;

/** Of so many objects that are dragged at once the others see how they go; of more, where they came to lie. */
const mostDragged = 12;

export class Sharing {
  #send;
  /** What is to be sent of each thing. @type {Map<string, () => [event: string, data: unknown]>} */
  #waiting = new Map();
  #shared = new Set();
  #timer;
  #sentAt = 0;

  /** @param {(event: string, data: unknown) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {{ x: number, y: number } | null} point on the board; null: not over it */
  cursor(point) {
    this.#later("cursor", () => ["cursor", point && { x: Math.round(point.x), y: Math.round(point.y) }]);
  }

  /** @param {() => object} stroke as it is when it is sent */
  stroke(id, stroke) {
    this.#later(id, () => ["draw", { id, ...stroke() }]);
  }

  /** @param {object} props where it is, and how large */
  drag(id, props) {
    if (!this.#shared.has(id) && this.#shared.size >= mostDragged) return;
    this.#later(id, () => ["draw", { id, props }]);
  }

  /** It is not drawn or dragged any more. */
  end(id) {
    this.#waiting.delete(id);
    if (this.#shared.delete(id)) this.#send("draw", { id, end: true });
  }

  #later(what, message) {
    this.#waiting.set(what, message);
    if (what !== "cursor") this.#shared.add(what);
    this.#timer ??= setTimeout(() => this.#flush(), Math.max(0, this.#sentAt + interval - performance.now()));
  }

  #flush() {
    this.#timer = undefined;
    this.#sentAt = performance.now();
    for (const message of this.#waiting.values()) this.#send(...message());
    this.#waiting.clear();
  }
}
