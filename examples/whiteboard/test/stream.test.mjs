import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { Stream } from "../page/stream.mjs";

/** The browser's EventSource, as a network brings it something or does not. */
class Source extends EventTarget {
  static CLOSED = 2;
  static all = [];
  readyState = 0;

  constructor(address) {
    super();
    this.address = address;
    Source.all.push(this);
  }

  static get newest() {
    return Source.all.at(-1);
  }

  get cursor() {
    return new URL(this.address, "http://x").searchParams.get("last-event-id");
  }

  open() {
    this.readyState = 1;
    this.onopen();
    this.dispatchEvent(new Event("open"));
  }

  say(event, data, lastEventId = "") {
    this.dispatchEvent(Object.assign(new Event(event), { data: JSON.stringify(data), lastEventId }));
  }

  close() {
    this.readyState = Source.CLOSED;
  }
}

/** A viewer whose stream is open. Time stands still. */
async function viewer(t) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  Source.all = [];
  globalThis.EventSource = Source;
  t.mock.method(globalThis, "fetch", async () => Response.json({ position: "a-1", board: {} }));
  const ops = [];
  const states = [];
  const stream = new Stream("/b/one", {
    snapshot: () => ops.push("all"),
    op: (op) => ops.push(op),
    volatile: () => {},
    people: () => {},
    changed: () => states.push(stream.status),
  });
  await stream.open();
  Source.newest.open();
  return { stream, ops, states, passes: (milliseconds) => t.mock.timers.tick(milliseconds) };
}

test("a stream on which nothing comes any more is opened anew, at the same place", async (t) => {
  const { stream, ops, states, passes } = await viewer(t);
  const first = Source.newest;
  first.say("op", "one", "a-2");
  passes(39_999);
  assert.deepEqual([stream.status, Source.all.length], ["open", 1]);
  passes(1);
  assert.equal(first.readyState, Source.CLOSED);
  assert.deepEqual([stream.status, Source.all.length, Source.newest.cursor], ["away", 2, "a-2"]);
  // Nor is the other waited for so long before it begins.
  passes(10_000);
  assert.deepEqual([Source.all.length, Source.newest.cursor], [3, "a-2"]);
  Source.newest.open();
  assert.equal(stream.status, "open");
  Source.newest.say("op", "two", "a-3");
  first.say("op", "late", "a-9");
  passes(39_999);
  assert.deepEqual([ops, Source.all.length], [["all", "one", "two"], 3]);
  assert.deepEqual(states, ["open", "away", "away", "open"]);
});

test("a stream on which heartbeats come is left as it is", async (t) => {
  const { stream, passes } = await viewer(t);
  for (let i = 0; i < 20; i++) {
    passes(15_000);
    Source.newest.say("dualcast:heartbeat", {}, `a-${i}`);
  }
  assert.deepEqual([stream.status, Source.all.length], ["open", 1]);
});

test("a stream that was refused is asked for with a new snapshot, however long that takes, and not by its silence", async (t) => {
  const { ops, passes } = await viewer(t);
  const first = Source.newest;
  t.mock.method(globalThis, "fetch", async () => Response.error());
  first.close();
  first.onerror();
  for (let i = 0; i < 20; i++) {
    passes(5_000);
    await turn();
  }
  assert.equal(Source.all.length, 1);
  t.mock.method(globalThis, "fetch", async () => Response.json({ position: "a-5", board: {} }));
  for (let i = 0; i < 100 && Source.all.length === 1; i++) {
    passes(1_000);
    await turn();
    await turn();
  }
  assert.deepEqual([Source.newest.cursor, ops], ["a-5", ["all", "all"]]);
});
