// Handlers by name, each on its own: what one of them throws keeps neither the next nor the stream from going on.

/** @typedef {(...values: any[]) => unknown} Handler */

/** @param {(error: unknown) => void} failed hears what a handler threw, or rejected with */
export function createEmitter(failed) {
  /** @type {Map<string, Set<{ handler: Handler }>>} */
  const all = new Map();

  return {
    /**
     * Adds a handler, as often as one likes. Answers what takes it away again.
     *
     * @param {string} name
     * @param {Handler} handler
     * @returns {() => void}
     */
    on(name, handler) {
      const entry = { handler };
      const handlers = all.get(name) ?? new Set();
      all.set(name, handlers.add(entry));
      return () => {
        handlers.delete(entry);
      };
    },

    /**
     * Calls the handlers that are there now, but for those that are taken away meanwhile, and answers whether there were any.
     *
     * @param {string} name
     * @param {...unknown} values
     */
    emit(name, ...values) {
      const handlers = all.get(name);
      const entries = [...(handlers ?? [])];
      // Whoever fails while it hears of a failure must not hear of that: it would go on for ever.
      const report = name === "dualcast:error" ? console.error : failed;
      for (const entry of entries) {
        try {
          const answer = handlers?.has(entry) && entry.handler(...values);
          // An async handler fails later.
          if (answer instanceof Promise) answer.catch(report);
        } catch (error) {
          report(error);
        }
      }
      return entries.length > 0;
    },
  };
}
