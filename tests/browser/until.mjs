// Waiting for a condition, with a deadline that names it.

import { setTimeout as sleep } from "node:timers/promises";

/** How long anything that a test waits for may take, in milliseconds. Far more than it does, but machines are busy. */
export const deadline = 10_000;

/** Asks until the answer is yes. `what()` says, where it never is, what was waited for and what there was instead. */
export async function until(isTrue, what) {
  const end = Date.now() + deadline;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`waited ${deadline} ms in vain until ${what()}`);
    await sleep(10);
  }
}
