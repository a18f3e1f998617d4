// The ledger of `examples/side-by-side`, without a page: what it says of messages that come, don't come, and come twice.

import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Ledger } from "../../examples/side-by-side/page/ledger.mjs";

describe("the ledger", () => {
  let ledger;
  beforeEach(() => (ledger = new Ledger()));

  /** A message of this number, published now or when it says. */
  const hear = (at, n, { publishedAt = at, ...rest } = {}) =>
    ledger.message(at, { id: `id-${n}`, event: rest.last ? "burst" : "machine", data: { n, at: publishedAt, ...rest } });

  const open = (at, { interval = 2_000 } = {}) => ledger.open(at, { id: ledger.cursor ?? "id-0", interval });

  const beat = (at) => ledger.heartbeat(at, { id: ledger.cursor });

  const gap = (at, id, reason = "trimmed") => ledger.gap(at, { id, reason });

  /** The page looks on, from then till then. */
  const pass = (from, to) => {
    for (let at = from; at <= to; at += 100) ledger.tick(at);
  };

  const says = (tone, text) => assert.deepEqual(ledger.verdict, { tone, text });

  it("counts from the first message on, whatever its number", () => {
    open(0);
    hear(1, 17);
    hear(2, 18);
    says("good", "open, and counting every message from here on");
    assert.deepEqual([ledger.messages, ledger.wrong, ledger.cursor], [2, 0, "id-18"]);
  });

  it("tells what was replayed after a reconnect", () => {
    open(0);
    hear(1, 1);
    ledger.lose(1_000);
    says("waiting", "the connection is lost, and comes back by itself");
    open(2_200);
    for (let n = 2; n <= 7; n++) hear(2_201, n, { publishedAt: 1_500 });
    hear(2_300, 8);
    says("good", "reconnected after 1.2 s, 6 messages replayed, none lost");
    assert.deepEqual([ledger.reconnects, ledger.gaps, ledger.wrong], [1, 0, 0]);
  });

  it("is not told of the same loss twice", () => {
    open(0);
    ledger.lose(1_000);
    ledger.lose(1_500);
    open(3_000);
    pass(3_000, 4_900);
    says("waiting", "the connection is lost, and comes back by itself");
    beat(5_000);
    // No number was counted: then there is nothing to say of losses.
    says("good", "reconnected after 2.0 s, nothing to replay");
    assert.equal(ledger.reconnects, 1);
  });

  it("does not count a switch as a reconnect", () => {
    open(0);
    hear(1, 1);
    ledger.leave(100, { words: "switched to WebSocket at the same cursor", waiting: "on the way to WebSocket" });
    says("waiting", "on the way to WebSocket");
    open(200);
    hear(201, 2, { publishedAt: 150 });
    beat(2_201);
    says("good", "switched to WebSocket at the same cursor, 1 message replayed, none lost");
    assert.equal(ledger.reconnects, 0);
  });

  it("measures a gap by the message after it", () => {
    open(0);
    hear(1, 10);
    ledger.lose(100);
    open(1_000);
    gap(1_001, "id-53");
    hear(1_002, 54, { publishedAt: 900 });
    says("gap", "gap: 43 messages, trimmed");
    assert.deepEqual([ledger.gaps, ledger.lost], [1, 0]);
  });

  it("does not measure a gap before which it heard nothing", () => {
    open(0);
    beat(2_000);
    gap(3_000, "id-40");
    hear(4_000, 41);
    says("gap", "gap: trimmed");
    assert.deepEqual([ledger.gaps, ledger.lost], [1, 0]);
  });

  it("does not forget a gap over a cut", () => {
    open(0);
    hear(1, 10);
    ledger.lose(100);
    open(1_000);
    gap(1_001, "id-50");
    ledger.lose(1_500);
    open(2_000);
    beat(4_000);
    says("gap", "gap: trimmed");
    hear(5_000, 51);
    says("gap", "gap: 40 messages, trimmed");
    assert.deepEqual([ledger.gaps, ledger.reconnects, ledger.lost], [1, 2, 0]);
  });

  it("shows how large a gap was also where the next message is a new one", () => {
    open(0);
    hear(1, 10);
    ledger.lose(100);
    open(1_000);
    gap(1_001, "id-50");
    ledger.lose(1_500);
    open(2_000);
    hear(2_100, 51);
    says("gap", "gap: 40 messages, trimmed");
  });

  it("begins anew with a server that was restarted", () => {
    open(0);
    hear(1, 1_000);
    ledger.lose(100);
    open(1_000);
    gap(1_001, "other-1", "epoch");
    hear(1_002, 1);
    hear(1_003, 2);
    says("gap", "gap: the server restarted, and its log began anew");
    assert.equal(ledger.wrong, 0);
  });

  it("says loudly when messages are lost without a word, and does not let go of it", () => {
    open(0);
    hear(1, 1);
    hear(2, 5);
    says("wrong", "LOST 3 messages without a word");
    ledger.lose(10);
    open(1_000);
    hear(2_000, 6);
    says("wrong", "LOST 3 messages without a word");
  });

  it("says loudly when a message comes twice", () => {
    open(0);
    hear(1, 1);
    hear(2, 2);
    hear(3, 2);
    says("wrong", "DOUBLED 1 message");
    hear(4, 3);
    assert.deepEqual([ledger.doubled, ledger.lost], [1, 0]);
  });

  it("does not take a gap that was told for an excuse later on", () => {
    open(0);
    hear(1, 1);
    gap(2, "id-4");
    hear(3, 5);
    hear(4, 7);
    says("wrong", "LOST 1 message without a word");
  });

  it("tells what had piled up while nothing was read", () => {
    open(0);
    hear(1, 1);
    ledger.hold(1_000, 1_020, 10);
    hear(1_001, 2, { publishedAt: 999 });
    for (let n = 3; n <= 43; n++) hear(11_020, n, { publishedAt: 1_000 + (n - 2) * 240 });
    says("waiting", "reads nothing for 10 s; its cursor stays where it is");
    hear(11_250, 44);
    says("good", "read nothing for 10 s, then 41 messages at once, none lost");
  });

  it("waits for what piled up, however late it comes", () => {
    open(0);
    hear(1, 1);
    ledger.hold(1_000, 1_020, 10);
    pass(1_000, 12_500);
    says("waiting", "reads nothing for 10 s; its cursor stays where it is");
    for (let n = 2; n <= 5; n++) hear(12_600, n, { publishedAt: 2_000 });
    hear(12_800, 6);
    says("good", "read nothing for 12 s, then 4 messages at once, none lost");
  });

  it("says so when nothing had piled up", () => {
    open(0);
    hear(1, 1);
    ledger.hold(1_000, 1_020, 10);
    // Those that the server wrote meanwhile.
    for (let i = 0; i < 5; i++) beat(11_010);
    says("waiting", "reads nothing for 10 s; its cursor stays where it is");
    beat(13_000);
    says("good", "read nothing for 10 s, and nothing had come");
  });

  it("knows since when it has been paused, though it is paused again", () => {
    open(0);
    hear(1, 1);
    ledger.hold(1_000, 1_000, 10);
    ledger.hold(6_000, 6_000, 10);
    hear(16_000, 2, { publishedAt: 2_000 });
    hear(16_100, 3);
    says("good", "read nothing for 15 s, then 1 message at once, none lost");
  });

  it("times a burst from its first publish to its last arrival", () => {
    open(0);
    hear(1, 1);
    for (let n = 2; n <= 1_001; n++) hear(1_000 + n / 5, n, { publishedAt: 1_000, first: 2, last: 1_001 });
    says("good", "burst: 1,000 messages in 0.20 s, none lost");
  });

  it("says nothing of a burst that it did not hear from the beginning", () => {
    open(0);
    for (let n = 500; n <= 1_001; n++) hear(n, n, { publishedAt: 1, first: 2, last: 1_001 });
    says("good", "open, and counting every message from here on");
  });

  it("takes a silence for a dead link when heartbeats are due, and for nothing when none are", () => {
    open(0);
    hear(1, 1);
    pass(0, 4_100);
    says("quiet", "nothing for more than 4.0 s, though a heartbeat is due every 2.0 s: a stalled or dead link");
    beat(5_001);
    says("good", "heard again, after 5.0 s of silence");

    open(6_000, { interval: 1e12 });
    pass(6_000, 10_100);
    says("quiet", "nothing for more than 4.0 s, and no heartbeats: nothing tells this silence from a dead link");
  });

  it("does not take its own sleep for a silence", () => {
    open(0);
    hear(1, 1);
    hear(2, 2);
    pass(0, 1_000);
    pass(61_000, 62_000);
    says("good", "open, and counting every message from here on");
  });

  it("does not worry while it reads nothing on purpose", () => {
    open(0);
    hear(1, 1);
    ledger.hold(1_000, 1_000, 10);
    pass(1_000, 9_000);
    says("waiting", "reads nothing for 10 s; its cursor stays where it is");
  });

  describe("with a client that minds its connection itself", () => {
    const openMinded = (at, { over } = {}) => ledger.open(at, { id: ledger.cursor ?? "id-0", over });

    const recover = (at, count) => ledger.recover(at, { id: ledger.cursor, count });

    it("tells what was recovered, by which way, and adds it up", () => {
      openMinded(0);
      hear(1, 1);
      assert.equal(ledger.recoveredCount, null);
      ledger.lose(1_000);
      openMinded(2_200, { over: "Server-Sent Events" });
      for (let n = 2; n <= 4; n++) hear(2_201, n, { publishedAt: 1_500 });
      recover(2_201, 3);
      says("good", "reconnected after 1.2 s over Server-Sent Events, 3 messages replayed, none lost");
      ledger.lose(3_000);
      openMinded(4_000);
      recover(4_001, 0);
      says("good", "reconnected after 1.0 s, nothing to replay");
      assert.deepEqual([ledger.recoveredCount, ledger.reconnects, ledger.wrong], [3, 2, 0]);
    });

    it("says loudly when the client says that more or less came than did", () => {
      openMinded(0);
      hear(1, 1);
      ledger.lose(1_000);
      openMinded(2_000);
      hear(2_001, 2, { publishedAt: 1_500 });
      recover(2_002, 2);
      says("wrong", "THE CLIENT SAYS 2 messages, and 1 came");
      hear(2_003, 3);
      says("wrong", "THE CLIENT SAYS 2 messages, and 1 came");
    });

    it("counts what is recovered over several cuts as the client does, until it says that all is there", () => {
      openMinded(0);
      hear(1, 1);
      ledger.lose(1_000);
      openMinded(2_000);
      hear(2_001, 2, { publishedAt: 1_500 });
      ledger.lose(2_002);
      openMinded(3_000);
      hear(3_001, 3, { publishedAt: 1_500 });
      recover(3_002, 2);
      assert.equal(ledger.verdict.tone, "good");
    });

    it("holds nobody to a count behind a gap", () => {
      openMinded(0);
      hear(1, 1);
      ledger.lose(1_000);
      openMinded(2_000);
      gap(2_001, "id-9");
      hear(2_002, 10, { publishedAt: 1_500 });
      ledger.lose(3_000);
      openMinded(4_000);
      hear(4_001, 11, { publishedAt: 3_500 });
      recover(4_002, 1);
      assert.equal(ledger.verdict.tone, "good");
    });

    it("counts anew with each client, and with one that had no cursor not before it was cut", () => {
      ledger.leave(0, { words: "switched to auto at the same cursor", waiting: "on the way to auto" });
      openMinded(100);
      hear(101, 1);
      hear(102, 2);
      ledger.lose(1_000);
      openMinded(2_000);
      hear(2_001, 3, { publishedAt: 1_500 });
      recover(2_002, 1);
      assert.equal(ledger.verdict.tone, "good");
    });

    it("holds a client to nothing that came to the one before it", () => {
      openMinded(0);
      hear(1, 1);
      ledger.lose(1_000);
      openMinded(2_000);
      hear(2_001, 2, { publishedAt: 1_500 });
      ledger.leave(2_002, { words: "switched to auto at the same cursor", waiting: "on the way to auto" });
      openMinded(3_000);
      recover(3_001, 0);
      says("good", "switched to auto at the same cursor, nothing to replay");
    });

    it("does not call a change of connections an interruption", () => {
      openMinded(0);
      hear(1, 1);
      ledger.move(1_000, { id: "id-1", words: "over WebSocket now, without an interruption" });
      hear(1_001, 2);
      says("good", "over WebSocket now, without an interruption, nothing to replay, none lost");
      assert.deepEqual([ledger.reconnects, ledger.isOpen], [0, true]);
    });

    it("leaves silences to the client, and tells what it made of one", () => {
      openMinded(0);
      hear(1, 1);
      pass(0, 10_000);
      says("good", "open, and counting every message from here on");
      ledger.hold(10_000, 10_000, 10);
      ledger.lose(14_000, { isSilent: true });
      says("waiting", "the connection is silent, and given up");
      openMinded(14_500);
      hear(14_501, 2, { publishedAt: 11_000 });
      recover(14_502, 1);
      says("good", "gave up a silent connection, back after 0.50 s, 1 message replayed, none lost");
    });
  });
});
