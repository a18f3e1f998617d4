// The pauses between attempts. One of nothing makes a loop; one that all clients share makes a herd.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { createBackoff } from "../js/dualcast/backoff.js";
import { stopTime } from "./fakes.js";

const take = (backoff, count, ...retry) => Array.from({ length: count }, () => Math.round(backoff.next(...retry)));

describe("a pause", () => {
  beforeEach(() => stopTime(() => 1));

  test("may be twice as long each time, up to the longest", () => {
    assert.deepEqual(take(createBackoff({ minDelay: 1_000, maxDelay: 30_000 }), 8), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  test("is capped before chance has its say, so that a herd stays apart at the cap, too", () => {
    Math.random.mock.mockImplementation(() => 0.5);
    assert.deepEqual(take(createBackoff({ minDelay: 1_000, maxDelay: 30_000 }), 7), [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  });

  test("is left to chance from the first on, but never to nothing", () => {
    Math.random.mock.mockImplementation(() => 0.3);
    assert.deepEqual(take(createBackoff({ minDelay: 1_000, maxDelay: 30_000 }), 1), [300]);
    Math.random.mock.mockImplementation(() => 0);
    assert.deepEqual(take(createBackoff({ minDelay: 1_000, maxDelay: 30_000 }), 3), [100, 100, 100]);
    assert.deepEqual(take(createBackoff({ minDelay: 0, maxDelay: 0 }), 3), [100, 100, 100]);
  });

  test("is never shorter than the server asks for", () => {
    Math.random.mock.mockImplementation(() => 0);
    const backoff = createBackoff({ minDelay: 1_000, maxDelay: 30_000 });
    assert.deepEqual(take(backoff, 2, 5_000), [5_000, 5_000]);
    assert.deepEqual(take(backoff, 1, 90_000), [90_000], "also where that is beyond the longest");
    Math.random.mock.mockImplementation(() => 1);
    assert.deepEqual(take(backoff, 1, 10), [8_000]);
  });

  test("begins anew after a reset, and has no end after a thousand attempts", () => {
    const backoff = createBackoff({ minDelay: 1_000, maxDelay: 30_000 });
    assert.deepEqual(take(backoff, 2_000).at(-1), 30_000);
    backoff.reset();
    assert.deepEqual(take(backoff, 2), [1_000, 2_000]);
  });
});
