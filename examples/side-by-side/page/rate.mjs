// How many messages came in the last seconds.

const slot = 250; // milliseconds
const slots = 12;

export class Rate {
  #counts = new Array(slots).fill(0);
  #newest = 0;

  add(now) {
    this.#advance(now);
    this.#counts[this.#newest % slots]++;
  }

  /** Messages a second, over the last three. */
  perSecond(now) {
    this.#advance(now);
    const count = this.#counts.reduce((sum, count) => sum + count, 0);
    return count / ((slots * slot) / 1_000);
  }

  #advance(now) {
    const current = Math.floor(now / slot);
    const passed = Math.min(current - this.#newest, slots);
    for (let i = 1; i <= passed; i++) this.#counts[(current - passed + i) % slots] = 0;
    this.#newest = Math.max(this.#newest, current);
  }
}
