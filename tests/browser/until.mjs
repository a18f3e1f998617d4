// Waiting for a condition, with a deadline that names it.

import { setTimeout as sleep } from "node:timers/promises";

/** How long anything that a test waits for may take, in milliseconds. Far more than it does, but machines are busy. */
export const deadline = 20_000;

/**
 * Asks until the answer is yes. `what()` says, where it never is, what was waited for and what there was instead. What is slow on purpose
 * has a `patience` of its own, in milliseconds.
 */
export async function until(isTrue, what, patience = deadline) {
  const end = Date.now() + patience;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`waited ${patience} ms in vain until ${what()}`);
    await sleep(10);
  }
}
