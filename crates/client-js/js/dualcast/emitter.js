// Handlers by name, each on its own: what one of them throws keeps neither the next nor the stream from going on.

/** @typedef {(...values: any[]) => unknown} Handler */

export class Emitter {
  /** @type {Map<string, Set<{ handler: Handler }>>} */
  #handlers = new Map();
  #failed;

  /** @param {(error: unknown) => void} failed hears what a handler threw, or rejected with */
  constructor(failed) {
    this.#failed = failed;
  }

  /**
   * Adds a handler, as often as one likes. Answers what takes it away again.
   *
   * @param {string} name
   * @param {Handler} handler
   * @returns {() => void}
   */
  on(name, handler) {
    const entry = { handler };
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers.add(entry));
    return () => {
      handlers.delete(entry);
    };
  }

  /** The names that somebody listens to. */
  names() {
    return [...this.#handlers].filter(([, handlers]) => handlers.size).map(([name]) => name);
  }

  /**
   * Calls the handlers that are there now, and answers whether there were any.
   *
   * @param {string} name
   * @param {...unknown} values
   */
  emit(name, ...values) {
    const handlers = [...(this.#handlers.get(name) ?? [])];
    for (const { handler } of handlers) {
      try {
        const answer = handler(...values);
        // An async handler fails later.
        if (answer instanceof Promise) answer.catch(this.#failed);
      } catch (error) {
        this.#failed(error);
      }
    }
    return handlers.length > 0;
  }
}
