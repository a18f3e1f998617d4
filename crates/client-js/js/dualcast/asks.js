// What was asked over one WebSocket and is not answered yet: the page's messages, and what the client itself wants, such as to follow a
// channel. An answer is acted on at once, since what comes behind it may depend on it.

/** @typedef {{ code?: string, message?: string, retry?: number, data?: any }} Answer */

export function createAsks() {
  /** By their references, the oldest first. @type {Map<number, { answered: (answer: Answer) => void, askedAt: number }>} */
  const open = new Map();
  let last = 0;
  let answeredAt = 0;

  return {
    /**
     * Answers the message with the reference that its answer will bear.
     *
     * @param {object} message
     * @param {(answer: Answer) => void} answered
     */
    ask(message, answered) {
      open.set(++last, { answered, askedAt: Date.now() });
      return { ...message, ref: last };
    },

    /** Answers whether it was waited for. @param {Answer & { ref?: any }} answer */
    answer({ ref, ...answer }) {
      const asked = open.get(ref);
      open.delete(ref);
      answeredAt = Date.now();
      asked?.answered(answer);
      return asked !== undefined;
    },

    /** Since when the oldest waits, or its turn has come: the server answers one after another. `Infinity` where none does. */
    since() {
      const { askedAt = Infinity } = open.values().next().value ?? {};
      return Math.max(askedAt, answeredAt);
    },
  };
}
