// The server's clock, as well as a page can know it.

import { ask } from "./server.mjs";

const probes = 8;

export class Clock {
  #offset = 0;

  /** The server's time now, in milliseconds since 1970. */
  now() {
    return performance.timeOrigin + performance.now() + this.#offset;
  }

  /** Asks the server what time it is, a few times. The fastest answer is the least wrong: by half of its way at most. */
  async set() {
    let best = { way: Infinity, offset: this.#offset };
    for (let i = 0; i < probes; i++) {
      performance.clearResourceTimings();
      // Each with an address of its own, so that no probe is timed by another.
      const path = `/clock?probe=${i}`;
      const { now } = await ask(path);
      // When the browser sent the request and had the answer, which is well before this script gets to know of it.
      const [timing] = performance.getEntriesByName(new URL(path, location).href);
      if (!timing) continue;
      const { requestStart, responseStart } = timing;
      const way = responseStart - requestStart;
      const answeredAt = performance.timeOrigin + (requestStart + responseStart) / 2;
      if (way < best.way) best = { way, offset: now - answeredAt };
    }
    this.#offset = best.offset;
  }

  /** It is at least so late: what was published then is here already. */
  advanceTo(time) {
    this.#offset += Math.max(0, time - this.now());
  }
}
