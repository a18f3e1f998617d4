// What a server takes over a WebSocket, and what becomes of a page that says more, or what makes no sense.
//
// What could lose a message, or loop:
//
// - a message that the server won't take ends the session, is sent again by the next one, and ends that, too
// - one that is too large is found so late that it holds up, or takes with it, those beside it
// - a size is counted in characters, or without what the client adds
// - the session ends for one message: all else that the page had goes on, its cursors and channels too

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Server, client, fate, notesOf, pass, sent, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

/** How many bytes a WebSocket's message has: its JSON, with the reference. */
const bytesOf = (message) => new TextEncoder().encode(JSON.stringify({ ...message, ref: 1 })).length;

describe("a message on a WebSocket whose welcome says how much it takes", () => {
  for (const [what, data] of [["of one byte each", "x".repeat(100)], ["of several bytes each", "é€😀".repeat(20)]]) {
    test(`goes where it has just as many bytes, and is rejected with one more: letters ${what}`, async () => {
      const size = bytesOf({ event: "note", data });
      for (const [max_bytes, expected] of [[size, {}], [size - 1, { error: "too-large" }]]) {
        const server = new Server();
        const { live } = client(server, { transport: "ws" });
        const socket = await server.welcome({ id: "a-1", max_bytes });
        const what = fate(live.send("note", data));
        await settle();
        assert.deepEqual([what, sent(socket)], [expected, expected.error ? [] : [data]]);
      }
    });
  }

  test("is measured with its key and its reference, of however many digits", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "ws" });
    const size = bytesOf({ event: "note", data: "x", key: "k" });
    const socket = await server.welcome({ id: "a-1", max_bytes: size });
    for (let ref = 1; ref <= 9; ref++) live.send("note", "x", { key: "k" }).catch(() => {});
    assert.equal(sent(socket).length, 9);
    const tenth = fate(live.send("note", "x", { key: "k" }));
    await settle();
    assert.deepEqual([tenth, sent(socket).length], [{ error: "too-large" }, 9], "its reference has two digits");
  });

  for (const whileAway of ["reject", "drop", "queue"]) {
    test(`is rejected where it is too large, whatever its policy, and all else goes on: ${whileAway}`, async () => {
      const server = new Server();
      const { live, states } = client(server, { transport: "ws" });
      const socket = await server.welcome({ id: "a-1", max_bytes: 200 });
      const [before, large, behind] = ["before", "x".repeat(200), "behind"].map((data) => fate(live.send("note", data, { whileAway })));
      await settle();
      assert.deepEqual([large, live.unsent], [{ error: "too-large" }, 2]);
      for (const asked of [...socket.heard]) socket.reply(asked.data, asked);
      socket.note("a-2");
      await settle();
      assert.deepEqual([before, behind, live.unsent], [{ value: "before" }, { value: "behind" }, 0]);
      assert.deepEqual([sent(socket), states, live.cursor, socket.isGone], [["before", "behind"], ["open"], "a-2", false]);
    });
  }

  test("and which waited for a connection is rejected when there is one, and holds up nobody", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "ws", whileAway: "queue" });
    const [large, behind] = ["x".repeat(200), "behind"].map((data) => fate(live.send("note", data)));
    const socket = await server.welcome({ id: "a-1", max_bytes: 200 });
    await settle();
    assert.deepEqual([large, behind, sent(socket)], [{ error: "too-large" }, {}, ["behind"]]);
  });

  test("is measured by the connection that there is", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "ws" });
    (await server.welcome({ id: "a-1", max_bytes: 200 })).drop();
    await pass(1_020);
    const socket = await server.welcome({ id: "a-1" });
    live.send("note", "x".repeat(200)).catch(() => {});
    assert.equal(sent(socket).length, 1);
  });
});

describe("a closing for what the page said", () => {
  for (const [reason, code] of [["too-large", 1009], ["bad-messages", 1008]]) {
    test(`rejects what is out, whatever its policy, and is no end: ${reason}`, async () => {
      const server = new Server();
      const { live, told, states } = client(server, { transport: "ws" });
      const socket = await server.welcome({ id: "a-1" });
      const all = ["reject", "drop", "queue"].map((whileAway, data) => fate(live.send("note", data, { whileAway })));
      socket.note("a-2").closing(reason, false, { code });
      await settle();
      assert.deepEqual(all, [{ error: reason }, { error: reason }, { error: reason }]);
      const { status, reason: why, code: by, retryAt } = live.state;
      assert.deepEqual([status, why, by, retryAt - Date.now() >= 900, told], ["waiting", reason, code, true, []]);
      await pass(980);
      assert.equal(server.attempts.length, 1, "not without its pause");
      await pass(60);
      const next = await server.socket();
      assert.equal(next.cursor, "a-2");
      next.welcome({ id: "a-2" });
      await settle();
      assert.deepEqual([sent(next), states], [[], ["open", "waiting", "connecting", "open"]]);
      const after = fate(live.send("note", "small"));
      next.reply("done");
      await settle();
      assert.deepEqual(after, { value: "done" });
    });

    test(`leaves what had not left, and the joined channels, to the next connection: ${reason}`, async () => {
      const server = new Server();
      const { live } = client(server, { transport: "ws" });
      const socket = await server.welcome({ id: "a-1" });
      const channel = live.subscribe("b", { position: "a-1" });
      socket.reply({ id: "a-1" });
      const b = notesOf(channel);
      const asked = fate(live.subscribe("c").ready);
      const queued = fate(live.send("note", "queued", { whileAway: "queue" }));
      socket.error("busy", { retry: 60_000 });
      socket.note("a-2", "b", { channel: "b" }).closing(reason, false, { code });
      await pass(1_040);
      const next = await server.welcome({ id: "a-1" });
      assert.deepEqual(next.heard.map(({ control, channel, id }) => [control, channel, id]), [["subscribe", "b", "a-2"], ["subscribe", "c", undefined]]);
      next.reply({ id: "a-2" }, next.heard[0]).reply({ id: "a-2" }, next.heard[1]).note("a-3", "more", { channel: "b" });
      await settle();
      assert.deepEqual([b.messages, b.told, asked, queued], [["b", "more"], [], { value: null }, {}]);
    });

    test(`leaves pauses that grow where each connection ends so: ${reason}`, async () => {
      const server = new Server();
      const { live } = client(server, { transport: "ws" });
      for (let time = 0; time < 5; time++) {
        (await server.later("ws")).welcome({ id: "a-1" });
        await settle();
        live.send("note", time, { whileAway: "queue" }).catch(() => {});
        server.attempts.at(-1).closing(reason, false, { code });
      }
      await server.later("ws");
      assert.deepEqual(server.pauses.map((pause) => Math.round(pause / 1_000)), [1, 2, 4, 8, 16]);
      assert.deepEqual(server.attempts.map(sent).slice(0, 5), [[0], [1], [2], [3], [4]], "nothing is said twice");
    });
  }
});
