// What a test has to put back when it is over, the latest first.

import { afterEach } from "node:test";

/** @type {(() => void)[]} */
const cleanups = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** Does it when the test is over. */
export function afterwards(cleanup) {
  cleanups.push(cleanup);
}
