// How long to wait before the next attempt: exponential with full jitter, capped first, and never less than the server asks for.
// See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

/** The least that is waited, in milliseconds: chance must not make a loop without a pause. */
const SHORTEST = 100;

/** @param {{ minDelay: number, maxDelay: number }} options the most that is waited before the first attempt, and before any, in milliseconds */
export function createBackoff({ minDelay, maxDelay }) {
  let attempts = 0;
  let least = 0;

  return {
    /** @param {number} [retry] what the server asks for, in milliseconds, from now on. It draws that for each client by itself. */
    next(retry = least) {
      least = retry;
      return Math.max(least, SHORTEST, Math.random() * Math.min(maxDelay, minDelay * 2 ** attempts++));
    },

    reset() {
      attempts = least = 0;
    },
  };
}
