// Where the page stands. What a server says of its log moves a cursor; what a client did before must never be told twice, nor skipped.
//
// What could lose or double a message, or hide a gap:
//
// - a welcome is written before what was missed: a cursor that is held must not jump over it
// - the log begins a new life, with smaller numbers: they are new, and the old ones are before all of them
// - the log loses its end within one life: the numbers are used again
// - a gap of one of several channels moves the cursor that they share: the gaps of the others, up to the same place, are still news
// - a stream is resumed further back than it has to be, at the smallest cursor of several: what was seen comes again, messages and gaps
// - a heartbeat, or a node that lags behind, names an id before the cursor
// - a number is larger than a double can count

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compare, createCursors } from "../js/dualcast/cursors.js";

/** Cursors of a page that stands here and whose connection has just been opened. */
function standing({ own, joined = {}, presented = own, channels = [], welcome = presented }) {
  const cursors = createCursors({}, own);
  for (const [channel, id] of Object.entries(joined)) cursors.join(channel, id);
  cursors.opened(welcome, presented, channels);
  return cursors;
}

const gapOf = (channel, id, to, from = null, reason = "trimmed") => ({ id, channel, from, to, reason });

describe("ids", () => {
  test("are in order within a life of the log, and in none between two", () => {
    assert.equal(compare("a-2", "a-10"), -1);
    assert.equal(compare("a-10", "a-2"), 1);
    assert.equal(compare("a-2", "a-2"), 0);
    assert.equal(compare("a-2", "b-10"), undefined);
    assert.equal(compare("a-2", undefined), undefined);
  });

  test("are in order also beyond what a double can count, and behind a broker's check", () => {
    assert.equal(compare("a-18446744073709551614-x", "a-18446744073709551615-y"), -1);
    assert.equal(compare("a-9007199254740993", "a-9007199254740992"), 1);
  });

  test("that are none are in no order, and stop nothing", () => {
    for (const id of ["", "a", "a-", "a-x", "-", "a--1", "a-1e3"]) assert.equal(compare(id, "a-1"), undefined, id);
  });
});

describe("the route's cursor", () => {
  test("begins where the first welcome says, and is not moved by a later one", () => {
    const cursors = standing({ welcome: "a-5" });
    assert.equal(cursors.of(), "a-5");
    cursors.opened("a-9", "a-5", []);
    assert.equal(cursors.of(), "a-5", "what stands between is still to come");
  });

  test("takes each message once, in order", () => {
    const cursors = standing({ own: "a-5" });
    assert.deepEqual(["a-5", "a-6", "a-8", "a-7", "a-8", "a-9"].map((id) => cursors.take(id)), [false, true, true, false, false, true]);
    assert.equal(cursors.of(), "a-9");
  });

  test("takes everything of a new life, whose numbers are smaller", () => {
    const cursors = standing({ own: "a-500", welcome: "a-500" });
    assert.ok(cursors.gap(gapOf("room", "b-0", "b-0", "a-500", "epoch")));
    assert.deepEqual(["b-1", "b-2", "b-2"].map((id) => cursors.take(id)), [true, true, false]);
  });

  test("takes everything of a new life, too, where a welcome of it came first", () => {
    const cursors = standing({ own: "a-500", welcome: "b-40" });
    assert.equal(cursors.of(), "a-500");
    assert.deepEqual(["b-1", "b-2"].map((id) => cursors.take(id)), [true, true]);
  });

  test("goes on where the log lost its end and counts anew in the same life", () => {
    const cursors = standing({ own: "a-200" });
    assert.ok(cursors.gap(gapOf("room", "a-150", "a-150", "a-200", "epoch")));
    assert.deepEqual(["a-151", "a-152", "a-151"].map((id) => cursors.take(id)), [true, true, false]);
    assert.equal(cursors.of(), "a-152");
  });

  test("goes on, too, where the welcome says that the log lost its end", () => {
    const cursors = standing({ own: "a-200", welcome: "a-150" });
    assert.equal(cursors.take("a-151"), true);
    assert.ok(cursors.gap(gapOf("room", "a-190", "a-190", "a-151", "slow")), "of numbers that are used again nothing is known");
  });

  test("is moved by heartbeats, but never back", () => {
    const cursors = standing({ own: "a-5" });
    cursors.heartbeat("a-7");
    cursors.heartbeat("a-6");
    cursors.heartbeat(undefined);
    assert.equal(cursors.of(), "a-7");
  });
});

describe("a gap", () => {
  test("is told from where the page stands, once", () => {
    const cursors = standing({ own: "a-100", joined: { b: "a-50" }, presented: "a-50", channels: ["b"] });
    assert.deepEqual(cursors.gap(gapOf("room", "a-120", "a-120", "a-50")), gapOf("room", "a-120", "a-120", "a-100"));
    cursors.opened("a-120", "a-120", []);
    assert.equal(cursors.gap(gapOf("room", "a-120", "a-120", "a-100")), undefined);
  });

  test("that ends before what the page has seen is none to it", () => {
    const cursors = standing({ own: "a-100", joined: { b: "a-50" }, presented: "a-50", channels: ["b"] });
    assert.equal(cursors.gap(gapOf("room", "a-80", "a-80", "a-50")), undefined);
    assert.ok(cursors.gap(gapOf("b", "a-80", "a-80", "a-50")), "to the other channel it is one");
    assert.equal(cursors.of(), "a-100");
  });

  test("of which the end is not known is told each time", () => {
    const cursors = standing({ own: "a-100" });
    assert.ok(cursors.gap(gapOf("room", "a-100", null)));
    assert.ok(cursors.gap(gapOf("room", "a-100", null)));
  });

  test("of each of several channels is told, though the first has moved their cursor", () => {
    for (const [reason, own] of [["epoch", "a-500"], ["unreadable", "nonsense"]]) {
      const cursors = standing({ own, welcome: own });
      assert.ok(cursors.gap(gapOf("x", "b-0", "b-0", null, reason)));
      assert.ok(cursors.gap(gapOf("y", "b-0", "b-0", null, reason)), reason);
    }
  });

  test("of each of several channels is told where the log lost its end", () => {
    const cursors = standing({ own: "a-200" });
    assert.ok(cursors.gap(gapOf("x", "a-150", "a-150", "a-200", "epoch")));
    assert.ok(cursors.gap(gapOf("y", "a-150", "a-150", "a-200", "epoch")));
  });

  test("that goes beyond the cursor it comes with is not told again after a reconnect", () => {
    // Several channels: one is trimmed to 150, another has messages from 101 on.
    const cursors = standing({ own: "a-100" });
    assert.ok(cursors.gap(gapOf("x", "a-100", "a-150")));
    assert.equal(cursors.take("a-101", "y"), true);
    cursors.opened("a-101", "a-101", []);
    assert.equal(cursors.gap(gapOf("x", "a-101", "a-150")), undefined);
    assert.ok(cursors.gap(gapOf("x", "a-101", "a-170")), "this one goes further");
  });

  test("of a later life is news, wherever the one before it ended", () => {
    const cursors = standing({ own: "a-100" });
    assert.ok(cursors.gap(gapOf("x", "a-150", "a-150")));
    assert.ok(cursors.gap(gapOf("x", "b-0", "b-0", "a-150", "epoch")));
  });
});

describe("the cursors of joined channels", () => {
  test("are apart from the route's, and from each other", () => {
    const cursors = standing({ own: "a-100", joined: { b: "a-50", c: "a-70" } });
    cursors.followed("b", "a-50", "a-50");
    cursors.followed("c", "a-70", "a-70");
    assert.equal(cursors.take("a-51", "b"), true);
    assert.equal(cursors.take("a-70", "c"), false);
    assert.deepEqual([cursors.of(), cursors.of("b"), cursors.of("c")], ["a-100", "a-51", "a-70"]);
  });

  test("are moved by a heartbeat only where the connection follows the channel", () => {
    const cursors = standing({ own: "a-100", joined: { b: "a-50", c: "a-70" } });
    cursors.followed("b", "a-50", "a-50");
    cursors.heartbeat("a-120");
    assert.deepEqual([cursors.of(), cursors.of("b"), cursors.of("c")], ["a-120", "a-120", "a-70"]);
    cursors.opened("a-120", "a-120", []);
    cursors.heartbeat("a-130");
    assert.deepEqual([cursors.of(), cursors.of("b")], ["a-130", "a-120"], "on the next connection b is not followed yet");
  });

  test("begin where the answer says, unless the page has one", () => {
    const cursors = standing({ own: "a-100", joined: { b: undefined, c: "a-70" } });
    cursors.followed("b", "a-110", undefined);
    cursors.followed("c", "a-110", "a-70");
    assert.deepEqual([cursors.of("b"), cursors.of("c")], ["a-110", "a-70"]);
  });

  test("go back alone where their log lost its end", () => {
    const cursors = standing({ own: "a-100", joined: { b: "a-200" } });
    cursors.followed("b", "a-150", "a-200");
    assert.equal(cursors.take("a-151", "b"), true);
    assert.equal(cursors.of(), "a-100");
  });

  test("leave the route's where it is when a gap of theirs lies before it", () => {
    const cursors = standing({ own: "a-100", joined: { b: "a-50" } });
    cursors.followed("b", "a-50", "a-50");
    assert.ok(cursors.gap(gapOf("b", "a-60", "a-60", "a-50")));
    assert.deepEqual([cursors.of(), cursors.of("b")], ["a-100", "a-60"]);
  });

  test("are forgotten with a channel that is left, and another one is not moved by it", () => {
    const cursors = standing({ own: "a-100", joined: { b: "a-50" } });
    cursors.followed("b", "a-50", "a-50");
    cursors.leave("b");
    cursors.join("b");
    assert.equal(cursors.of("b"), undefined);
    cursors.heartbeat("a-120");
    assert.equal(cursors.of("b"), undefined);
  });
});

describe("a stream of all channels", () => {
  test("is asked for at the smallest cursor", () => {
    assert.equal(standing({ own: "a-100", joined: { b: "a-50", c: "a-70" } }).smallest(), "a-50");
    assert.equal(standing({ own: "a-9", joined: { b: "a-10" } }).smallest(), "a-9");
    assert.equal(standing({ joined: { b: "a-10" } }).smallest(), "a-10");
    assert.equal(standing({}).smallest(), undefined);
  });

  test("is asked for in the older of two lives, whichever channel stands there", () => {
    for (const [own, b] of [["a-900", "b-3"], ["b-3", "a-900"]]) {
      const cursors = standing({ own, joined: { b } });
      cursors.followed("b", b, b);
      assert.equal(cursors.take("b-4", own === "b-3" ? undefined : "b"), true);
      assert.equal(cursors.smallest(), "a-900");
    }
  });

  test("gives out what is new to a channel, and nothing that it has seen", () => {
    const cursors = standing({ own: "a-100", joined: { b: "a-50" }, presented: "a-50", channels: ["b"] });
    const taken = [["a-60"], ["a-60", "b"], ["a-100"], ["a-101"], ["a-61", "b"]].map(([id, channel]) => cursors.take(id, channel));
    assert.deepEqual(taken, [false, true, false, true, true]);
  });

  test("goes back with all its channels where the log lost its end", () => {
    const cursors = standing({ own: "a-300", joined: { b: "a-200" }, presented: "a-200", channels: ["b"] });
    for (const channel of ["room", "b"]) assert.ok(cursors.gap(gapOf(channel, "a-150", "a-150", "a-200", "epoch")), channel);
    assert.deepEqual(["a-151", "a-152"].map((id) => cursors.take(id, "b")), [true, true]);
    assert.equal(cursors.take("a-151"), true);
  });
});

describe("what is kept over a reload", () => {
  test("has each cursor, also of a channel that the page has not joined again yet", () => {
    const cursors = standing({ own: "a-100", joined: { b: "a-50", none: undefined } });
    const saved = JSON.parse(JSON.stringify(cursors.saved()));
    assert.deepEqual(saved, { "": "a-100", b: "a-50", "*": "a-100" });
    const later = createCursors(saved);
    assert.deepEqual(JSON.parse(JSON.stringify(later.saved())), saved);
    later.join("b");
    assert.equal(later.of("b"), "a-50");
  });

  test("gives way to a position that the page names", () => {
    const cursors = createCursors({ b: "a-50" });
    cursors.join("b", "a-80");
    assert.equal(cursors.of("b"), "a-80");
  });
});
