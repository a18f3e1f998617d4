// Numbers that look random, and are the same for the same seed: so that what broke once breaks again.

export class Random {
  #state;

  /** @param {number} seed an integer of 32 bits */
  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 up to `end`, without it. By mulberry32, which is short and good enough to choose cases. */
  below(end) {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  }

  /** One of them. */
  of(choices) {
    return choices[this.below(choices.length)];
  }
}
