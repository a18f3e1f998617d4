// How long to wait before the next attempt: exponential with full jitter, capped first, and never less than the server asks for.
// See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

/** The least that is waited, in milliseconds: chance must not make a loop without a pause. */
const SHORTEST = 100;

export class Backoff {
  #first;
  #longest;
  #attempts = 0;

  /**
   * @param {number} first in milliseconds, the most that is waited before the first attempt
   * @param {number} longest in milliseconds, the most that is waited before any
   */
  constructor(first, longest) {
    this.#first = first;
    this.#longest = longest;
  }

  /** @param {number} [retry] what the server asks for, in milliseconds. It draws that for each client by itself. */
  next(retry = 0) {
    const most = Math.min(this.#longest, this.#first * 2 ** this.#attempts++);
    return Math.max(retry, SHORTEST, Math.random() * most);
  }

  reset() {
    this.#attempts = 0;
  }
}
