// Which transport to try: the best one that works here. What is refused, or falls silent at its beginning, is left for the next; and the best
// is tried again later, while another one serves.

import { stored } from "./environment.js";

/** @typedef {"ws" | "sse" | "eventsource"} TransportName */
/** @typedef {ReturnType<typeof createChoice>} Choice */

/** When the best transport is first tried again while another serves, in milliseconds. From then on ever later. */
const FIRST_PROBE = 30_000;
const LONGEST_PROBE = 600_000;

/**
 * @param {TransportName[]} transports the best first
 * @param {string} key under which the choice is kept for the session
 */
export function createChoice(transports, key) {
  /** With which one each round begins. */
  let preferred = Math.max(0, transports.indexOf(stored(key)));
  let current = preferred;
  let probes = 0;

  return {
    best: transports[0],

    get current() {
      return transports[current];
    },

    get isBest() {
      return current === 0;
    },

    /** The current one did not work. Answers whether another one is to be tried before a pause. */
    refused() {
      current = (current + 1) % transports.length;
      return current !== preferred;
    },

    /** The next attempt begins a round, with the one that worked last. */
    again() {
      current = preferred;
    },

    /** This one works, and serves from now on. @param {TransportName} transport */
    opened(transport) {
      preferred = current = transports.indexOf(transport);
      // Whoever was told which one to take has not chosen.
      if (transports.length > 1) stored(key, transport);
    },

    /** The current one went on working. */
    lasted() {
      if (current === 0) probes = 0;
    },

    /** After how long the best is to be tried again beside the current, in milliseconds, with a jitter of its own. */
    nextProbe: () => Math.min(LONGEST_PROBE, FIRST_PROBE * 2 ** probes) * (0.5 + Math.random() / 2),

    /** The best one is tried. */
    probed() {
      probes++;
    },

    /** Another network may let through what this one did not. */
    anew() {
      preferred = probes = 0;
    },
  };
}
