// What was asked over one WebSocket and is not answered yet: the page's messages, and what the client itself wants, such as to follow a
// channel. An answer is acted on at once, since what comes behind it may depend on it.

/** @typedef {{ code?: string, message?: string, retry?: number, data?: any }} Answer */

export class Asks {
  /** By their references, the oldest first. @type {Map<number, { answered: (answer: Answer) => void, askedAt: number }>} */
  #open = new Map();
  #ref = 0;
  #answeredAt = 0;

  /**
   * Answers the message with the reference that its answer will bear.
   *
   * @param {object} message
   * @param {(answer: Answer) => void} answered
   */
  ask(message, answered) {
    this.#open.set(++this.#ref, { answered, askedAt: Date.now() });
    return { ...message, ref: this.#ref };
  }

  /** Answers whether it was waited for. @param {Answer & { ref?: any }} answer */
  answer({ ref, ...answer }) {
    const open = this.#open.get(ref);
    this.#open.delete(ref);
    this.#answeredAt = Date.now();
    open?.answered(answer);
    return open !== undefined;
  }

  /** Since when the oldest waits, or its turn has come: the server answers one after another. `Infinity` where none does. */
  since() {
    const { askedAt = Infinity } = this.#open.values().next().value ?? {};
    return Math.max(askedAt, this.#answeredAt);
  }
}
