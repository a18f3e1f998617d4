// How long messages took from the publish to the page.

/** The percentiles are of so many messages, and so many points are kept for the plot. */
const sample = 200;
const points = 4_000;

export class Latencies {
  /** When each message came, and how long it took, both in milliseconds; the oldest first. */
  #points = [];

  add(at, latency) {
    this.#points.push({ at, latency });
    // In steps, since each moves all the others.
    if (this.#points.length > points * 1.25) this.#points.splice(0, this.#points.length - points);
  }

  /** What half of the last messages took at most, and 95 in a hundred. Nothing where there are none. */
  percentiles() {
    const sorted = this.#points.slice(-sample).map(({ latency }) => latency).sort((a, b) => a - b);
    if (sorted.length === 0) return null;
    const at = (share) => sorted[Math.ceil(sorted.length * share) - 1];
    return { p50: at(0.5), p95: at(0.95) };
  }

  /** Those since then. */
  since(start) {
    const first = this.#points.findIndex(({ at }) => at >= start);
    return first < 0 ? [] : this.#points.slice(first);
  }
}
