// Which transport is tried, and when the best one is tried again.
//
// What could leave a page without a stream where there is a way:
//
// - a transport that worked once is remembered, and works no longer: the others must have their turn in each round
// - the best is probed for ever at the same pace, or, once it was refused, never again

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { createChoice } from "../js/dualcast/choice.js";
import { Page, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

/** What is tried in a round in which nothing works. */
function round(choice) {
  const tried = [choice.current];
  while (choice.refused()) tried.push(choice.current);
  return tried;
}

/** After how many seconds the best is tried, as it then is. */
function probe(choice) {
  const wait = choice.nextProbe();
  choice.probed();
  return Math.ceil(wait / 1_000);
}

describe("a round", () => {
  test("tries each transport, and then pauses", () => {
    const choice = createChoice(["ws", "sse", "eventsource"], "key");
    assert.deepEqual(round(choice), ["ws", "sse", "eventsource"]);
    assert.deepEqual(round(choice), ["ws", "sse", "eventsource"]);
    assert.deepEqual(round(createChoice(["ws"], "key")), ["ws"]);
  });

  test("begins with the one that worked last, and still tries the others", () => {
    const choice = createChoice(["ws", "sse", "eventsource"], "key");
    choice.refused();
    choice.opened("sse");
    choice.again();
    assert.deepEqual(round(choice), ["sse", "eventsource", "ws"]);
  });

  test("begins with the best again on another network", () => {
    const choice = createChoice(["ws", "sse"], "key");
    choice.refused();
    choice.opened("sse");
    choice.anew();
    choice.again();
    assert.deepEqual(round(choice), ["ws", "sse"]);
  });
});

describe("the choice", () => {
  test("is kept for the session, where a page has one", () => {
    const choice = createChoice(["ws", "sse"], "key");
    choice.refused();
    choice.opened("sse");
    assert.equal(createChoice(["ws", "sse"], "key").current, "ws", "in Node nothing is kept");

    new Page();
    choice.opened("sse");
    assert.equal(createChoice(["ws", "sse"], "key").current, "sse");
    assert.equal(createChoice(["ws", "eventsource"], "key").current, "ws", "what this client does not use counts for nothing");
    assert.equal(createChoice(["ws", "sse"], "other").current, "ws");
  });

  test("is made anew where the storage is forbidden", () => {
    new Page();
    globalThis.sessionStorage.getItem = globalThis.sessionStorage.setItem = () => {
      throw new DOMException("no", "SecurityError");
    };
    const choice = createChoice(["ws", "sse"], "key");
    choice.opened("ws");
    assert.equal(choice.current, "ws");
  });
});

describe("the best transport", () => {
  test("is tried ever later, with a jitter, and at least every ten minutes", () => {
    const choice = createChoice(["ws", "sse"], "key");
    choice.refused();
    const waits = Array.from({ length: 8 }, () => probe(choice));
    assert.deepEqual(waits, [30, 60, 120, 240, 480, 600, 600, 600]);
    Math.random.mock.mockImplementation(() => 0);
    assert.equal(choice.nextProbe(), 300_000);
  });

  test("that returned is tried soon again only once it has lasted", () => {
    const choice = createChoice(["ws", "sse"], "key");
    choice.refused();
    choice.opened("sse");
    choice.lasted();
    assert.deepEqual([probe(choice), probe(choice)], [30, 60]);
    choice.opened("ws");
    assert.equal(choice.isBest, true);
    choice.refused();
    assert.equal(probe(choice), 120, "it failed at its beginning");
    choice.opened("ws");
    choice.lasted();
    choice.refused();
    assert.equal(probe(choice), 30);
  });
});
