// What a page listens to: the messages of the application by their events, and by names of the client's own what became of the stream.

import { Emitter } from "./emitter.js";
import { LiveError } from "./error.js";

/** @typedef {import("./emitter.js").Handler} Handler */
/** @typedef {import("./cursors.js").Gap} Gap */
/** @typedef {{ event: string, id?: string, channel?: string, volatile: boolean }} Meta */
/** @typedef {Meta & { data: any }} Item */

/** The names that are the client's own. */
const OWN = ["state", "gap", "recovered", "merged", "finished", "closed", "unsent", "unknown", "error", "*"];

/** Before those names: no event of an application begins like this. */
const PREFIX = "dualcast:";

/** How far an iteration may fall behind, in messages. */
export const MAX_ITEMS = 10_000;

export class Stage {
  #handlers;
  #listened;
  /** Whether nothing will follow. */
  isOver = false;
  /** @type {Set<{ push(item?: unknown): void }>} */
  #iterations = new Set();

  /**
   * @param {(error: unknown) => void} failed hears what a handler threw
   * @param {(event: string) => void} listened hears each event that somebody listens to
   */
  constructor(failed, listened) {
    this.#handlers = new Emitter(failed);
    this.#listened = listened;
  }

  /** @param {string} name @param {Handler} handler */
  on(name, handler) {
    return OWN.includes(name) ? this.#handlers.on(PREFIX + name, handler) : this.onMessage(name, handler);
  }

  /** @param {string} event @param {Handler} handler */
  onMessage(event, handler) {
    const off = this.#handlers.on(event, handler);
    this.#listened(event);
    return off;
  }

  names() {
    return this.#handlers.names();
  }

  /** Tells what is the client's own. Answers whether anybody heard it. @param {string} name @param {unknown} value */
  tell(name, value) {
    if (name === "gap") this.#iterations.forEach((iteration) => iteration.push({ gap: value }));
    return this.#handlers.emit(PREFIX + name, value);
  }

  /** Gives out a message. @param {Item} item */
  give(item) {
    const { data, ...meta } = item;
    this.#iterations.forEach((iteration) => iteration.push(item));
    this.tell("*", item);
    this.#handlers.emit(item.event, data, meta);
  }

  /**
   * All messages from now on, and gaps where they are.
   *
   * @returns {AsyncGenerator<any>}
   */
  async *iterate() {
    /** @type {unknown[]} */
    const items = [];
    let isEnded = this.isOver;
    let isTooSlow = false;
    let wake = () => {};
    const iteration = {
      /** @param {unknown} [item] nothing, at the end */
      push: (item) => {
        isEnded = item === undefined || items.length >= MAX_ITEMS;
        isTooSlow = isEnded && item !== undefined;
        if (isEnded) this.#iterations.delete(iteration);
        else items.push(item);
        wake();
      },
    };
    this.#iterations.add(iteration);
    try {
      for (;;) {
        while (items.length) yield items.shift();
        if (isTooSlow) throw new LiveError("too-slow");
        if (isEnded) return;
        await new Promise((resolve) => (wake = () => resolve(undefined)));
      }
    } finally {
      this.#iterations.delete(iteration);
    }
  }

  /** Nothing will follow. */
  end() {
    this.isOver = true;
    this.#iterations.forEach((iteration) => iteration.push());
  }
}
