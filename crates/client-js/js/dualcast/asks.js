// What the client itself asks over a WebSocket: to follow a channel or leave it, to take a new token. An answer is acted on at once, since
// what comes behind it depends on it.

/** @typedef {{ code?: string, message?: string, retry?: number, data?: any }} Answer */

export class Asks {
  /** @type {Map<number, { answered: (answer: Answer) => void, askedAt: number }>} */
  #open = new Map();
  /** Negative, where the page's messages have positive ones. */
  #ref = 0;

  /**
   * @param {import("./link.js").Link} link
   * @param {{ control: string, [field: string]: unknown }} control
   * @param {(answer: Answer) => void} answered
   */
  ask(link, control, answered) {
    this.#open.set(--this.#ref, { answered, askedAt: Date.now() });
    link.send({ ...control, ref: this.#ref });
  }

  /** Answers whether it was waited for. @param {Answer & { ref?: any }} answer */
  answer({ ref, ...answer }) {
    const open = this.#open.get(ref);
    this.#open.delete(ref);
    open?.answered(answer);
    return open !== undefined;
  }

  /** Since when the longest waits for its answer. */
  waitingSince() {
    return this.#open.values().next().value?.askedAt;
  }

  /** The connection is gone, and all that was asked on it. */
  lost() {
    this.#open.clear();
  }
}
