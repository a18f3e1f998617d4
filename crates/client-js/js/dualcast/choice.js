// Which transport to try: the best one that works here. What is refused, or opens and stays silent, is left for the next; and the best is
// tried again later, while another one serves.

import { stored } from "./environment.js";

/** @typedef {"ws" | "sse" | "eventsource"} TransportName */

/** When the best transport is first tried again while another serves, in milliseconds. From then on ever later. */
const FIRST_PROBE = 30_000;
const LONGEST_PROBE = 600_000;

export class Choice {
  #transports;
  #key;
  /** With which one each round begins. */
  #preferred;
  #current;
  #probes = 0;

  /**
   * @param {TransportName[]} transports the best first
   * @param {string} key under which the choice is kept for the session
   */
  constructor(transports, key) {
    this.#transports = transports;
    this.#key = key;
    this.#preferred = Math.max(0, transports.indexOf(stored(key)));
    this.#current = this.#preferred;
  }

  get current() {
    return this.#transports[this.#current];
  }

  get best() {
    return this.#transports[0];
  }

  get isBest() {
    return this.#current === 0;
  }

  /** The current one was refused, or fell silent at its beginning. Answers whether another one is to be tried before a pause. */
  refused() {
    this.#current = (this.#current + 1) % this.#transports.length;
    return this.#current !== this.#preferred;
  }

  /** The next attempt begins a round, with the one that worked last. */
  again() {
    this.#current = this.#preferred;
  }

  /** The current one works. */
  opened() {
    this.#preferred = this.#current;
    // Whoever was told which one to take has not chosen.
    if (this.#transports.length > 1) stored(this.#key, this.current);
  }

  /** The current one went on working. */
  lasted() {
    if (this.isBest) this.#probes = 0;
  }

  /** The best one was tried beside the current, and serves from now on. */
  returned() {
    this.#current = 0;
    this.opened();
  }

  /** After how long the best is to be tried again beside the current, in milliseconds, with a jitter of its own. */
  nextProbe() {
    return Math.min(LONGEST_PROBE, FIRST_PROBE * 2 ** this.#probes) * (0.5 + Math.random() / 2);
  }

  /** The best one is tried. */
  probed() {
    this.#probes++;
  }

  /** Another network may let through what this one did not. */
  anew() {
    this.#preferred = 0;
    this.#probes = 0;
  }
}
