// The clock, which goes when it is told to. Nothing sleeps: `settle` lets all promises run that can.

import { mock } from "node:test";
import { afterwards } from "./cleanup.js";

/** Where the clock begins, in milliseconds since 1970. */
const START = 1_700_000_000_000;
/** The steps in which it goes, in milliseconds: promises run between them. */
export const STEP = 20;
/** Of a long time the steps are longer. */
const MOST_STEPS = 500;
/** What a timer can hold, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** As many turns of Node's event loop as the longest chain of streams and promises here takes. */
const TURNS = 6;

/** Lets all promises run that can. */
export async function settle() {
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Stops the clock: from now on timers and dates follow `pass`. Chance is what a test says: by default the most there is. */
export function stopTime(chance = () => 0.999_999) {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: START });
  // As real ones do, of a time that no timer can hold they make none at all.
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (run, ms) => setTimeout(run, ms >= 1 && ms <= LONGEST_TIMER ? ms : 1);
  const random = mock.method(Math, "random", chance);
  // Node's own goes by the real clock.
  const timeout = mock.method(AbortSignal, "timeout", (ms) => {
    const controller = new AbortController();
    globalThis.setTimeout(() => controller.abort(new DOMException("timed out", "TimeoutError")), ms);
    return controller.signal;
  });
  afterwards(() => {
    timeout.mock.restore();
    random.mock.restore();
    mock.timers.reset();
  });
}

/** Lets so many milliseconds pass. */
export async function pass(ms) {
  await settle();
  const longest = Math.max(STEP, ms / MOST_STEPS);
  for (let left = ms; left > 0; left -= longest) await step(Math.min(left, longest));
  await settle();
}

/** One step of the clock. */
export async function step(ms) {
  mock.timers.tick(ms);
  await new Promise((resolve) => setImmediate(resolve));
}

/** Keeps an event stream alive for so many milliseconds. */
export async function passAlive(stream, ms, id) {
  for (let left = ms; left > 0; left -= 15_000) {
    await pass(Math.min(left, 15_000));
    stream.heartbeat(id);
  }
  await settle();
}

/** A machine that slept: the clock went on, and no timer ran yet. */
export function sleepMachine(ms) {
  mock.timers.setTime(Date.now() + ms);
}

/** The clock is set by so many milliseconds, back or on; timers go on as they were. */
export function setClock(ms) {
  const { now } = Date;
  const clock = mock.method(Date, "now", () => now() + ms);
  afterwards(() => clock.mock.restore());
}
