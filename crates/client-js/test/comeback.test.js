// How the client comes back: where it stands, what it tells of that, and after which pauses.
//
// What could lose or double a message, or loop without a pause:
//
// - the connection is lost before anything came by it, or after heartbeats only: the cursor must be presented again
// - what the old connection still says comes after the new one has begun
// - a server accepts and drops at once, for ever
// - a server asks for a pause, and is refused by a proxy at the next attempt, which asks for none

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Server, client, pass, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

describe("a client that comes back", () => {
  for (const by of ["ws", "sse"]) {
    test(`presents its cursor each time, also where nothing came since: ${by}`, async () => {
      const server = new Server();
      const { live, messages } = client(server, { transport: by });
      const cut = (connection) => (by === "ws" ? connection.drop() : connection.break());
      const cursors = [];
      const steps = [
        (connection) => connection.welcome({ id: "a-5" }),
        (connection) => connection.welcome({ id: "a-5" }).note("a-6"),
        (connection) => connection.welcome({ id: "a-6" }),
        (connection) => connection.welcome({ id: "a-6" }).heartbeat("a-9"),
        () => {},
        (connection) => connection.welcome({ id: "a-9" }).note("a-9").note("a-10"),
      ];
      for (const step of steps) {
        const connection = await server.later(by);
        cursors.push(connection.cursor);
        step(connection);
        await settle();
        cut(connection);
      }
      assert.deepEqual(cursors, [null, "a-5", "a-6", "a-6", "a-9", "a-9"]);
      assert.deepEqual(messages, ["a-6", "a-10"]);
      assert.equal(live.cursor, "a-10");
    });
  }

  test("says that the page has all again, and how much came, once it is there", async () => {
    const server = new Server();
    const { told } = client(server, { transport: "ws" });
    (await server.welcome({ id: "a-1" })).note("a-2").drop();
    await pass(2_000);
    const socket = await server.welcome({ id: "a-2" });
    socket.note("a-2").note("a-3").say({ event: "note", data: "volatile" });
    assert.deepEqual(told, []);
    socket.note("a-4").heartbeat("a-4").note("a-5").heartbeat("a-5");
    assert.deepEqual(told, [["recovered", { count: 2, transport: "ws" }]]);
  });

  test("counts what came over two interruptions, where the first was not mended", async () => {
    const server = new Server();
    const { told } = client(server, { transport: "ws", position: "a-1" });
    (await server.welcome({ id: "a-1" })).note("a-2").drop();
    await pass(2_000);
    (await server.welcome({ id: "a-2" })).note("a-3").heartbeat("a-3");
    assert.deepEqual(told, [["recovered", { count: 2, transport: "ws" }]]);
  });

  test("says what is missing instead, where it is missing", async () => {
    const server = new Server();
    const { live, told, messages } = client(server, { transport: "sse", position: "a-1" });
    const order = [];
    live.on("gap", () => order.push("gap"));
    live.on("note", (data) => order.push(data));
    (await server.stream()).welcome({ id: "a-1" }).notice("gap", { channel: "room", from: "a-1", to: "a-7", reason: "trimmed" }, "a-7").note("a-8").heartbeat("a-8");
    await settle();
    assert.deepEqual(order, ["gap", "a-8"]);
    assert.deepEqual(told, [["gap", { id: "a-7", channel: "room", from: "a-1", to: "a-7", reason: "trimmed" }]]);
    assert.deepEqual(messages, ["a-8"]);
  });

  test("gives out all of a log that began a new life", async () => {
    const server = new Server();
    const { messages, all } = client(server, { transport: "ws", position: "a-900" });
    const socket = await server.welcome({ id: "a-900" });
    socket.say({ control: "gap", channel: "room", id: "b-0", from: "a-900", to: "b-0", reason: "epoch" });
    socket.note("b-1").note("b-2").heartbeat("b-2").drop();
    await pass(2_000);
    const next = await server.socket();
    assert.equal(next.cursor, "b-2");
    next.welcome({ id: "b-2" }).note("b-2").note("b-3");
    assert.deepEqual([messages, all("gap").length], [["b-1", "b-2", "b-3"], 1]);
  });

  test("drops half an event at a cut, and gets it whole", async () => {
    const server = new Server();
    const { messages } = client(server, { transport: "sse" });
    const stream = (await server.stream()).welcome({ id: "a-1" }).raw("id: a-2\nevent: note\ndata: hal");
    await settle();
    stream.end();
    await pass(2_000);
    const next = await server.stream();
    assert.equal(next.cursor, "a-1");
    next.welcome({ id: "a-1" }).note("a-2", "whole");
    await settle();
    assert.deepEqual(messages, ["whole"]);
  });

  test("does not hear what the connection before still says", async () => {
    const server = new Server();
    const { live, messages } = client(server, { transport: "ws" });
    const old = await server.welcome({ id: "a-1" });
    const { onmessage } = old;
    live.reconnect();
    const next = await server.welcome({ id: "a-1" });
    onmessage({ data: JSON.stringify({ id: "a-9", event: "note", data: "late" }) });
    next.note("a-2");
    assert.deepEqual([messages, live.cursor], [["a-2"], "a-2"]);
  });

  test("tells how it stands, in an object that stays the same until that changes", async () => {
    const server = new Server();
    const { live, states } = client(server, { transport: "ws" });
    assert.equal(live.state, live.state);
    assert.ok(Object.isFrozen(live.state));
    const socket = await server.welcome();
    socket.closing("shutdown", true, { code: 1012, retry: 4_000 });
    await settle();
    const { retryAt, ...state } = live.state;
    assert.deepEqual(state, { status: "waiting", reason: "shutdown", code: 1012, message: "shutdown" });
    assert.equal(retryAt, Date.now() + 4_000);
    await pass(4_020);
    assert.deepEqual(states, ["open", "waiting", "connecting"]);
    assert.equal(live.state.reason, "shutdown", "why it connects anew");
  });
});

describe("the pauses between attempts", () => {
  test("grow while a server accepts and drops at once", async () => {
    for (const by of ["ws", "sse"]) {
      const server = new Server();
      client(server, { transport: by });
      for (let time = 0; time < 8; time++) {
        const connection = await server.later(by);
        connection.welcome({ id: "a-1" }).note("a-2");
        await settle();
        if (by === "ws") connection.drop();
        else connection.end();
      }
      const seconds = server.pauses.map((pause) => Math.round(pause / 1_000));
      assert.deepEqual(seconds.slice(0, 7), [1, 2, 4, 8, 16, 30, 30], by);
    }
  });

  test("begin anew after a connection that lasted, and not before", async () => {
    const server = new Server();
    client(server, { transport: "ws" });
    for (const lasts of [0, 0, 0, 4_900, 5_100, 0]) {
      const socket = (await server.later("ws")).welcome({ id: "a-1" });
      await pass(lasts);
      socket.heartbeat("a-1").drop();
    }
    await server.later("ws");
    const seconds = server.pauses.map((pause) => Math.floor(pause / 1_000));
    assert.deepEqual(seconds.slice(0, 6), [1, 2, 4, 8 + 4, 1 + 5, 2]);
  });

  test("are those that the server asks for: in the opening, a closing, or an answer", async () => {
    Math.random.mock.mockImplementation(() => 0);
    for (const [by, end] of [
      ["ws", (socket) => socket.welcome({ retry: 2_000 }).drop()],
      ["ws", (socket) => socket.welcome({ retry: 9_000 }).closing("shutdown", true, { retry: 2_000 })],
      ["sse", (stream) => stream.welcome({ retry: 2_000 }).end()],
      ["sse", (stream) => stream.welcome({ retry: 9_000 }).closing("shutdown", true, { retry: 2_000 })],
      ["sse", (stream) => stream.accept().raw("retry: 2000\n").closing("busy", true)],
      ["sse", (stream) => stream.refuse(503, "", { "retry-after": "2" })],
    ]) {
      const server = new Server();
      const { live } = client(server, { transport: by });
      end(by === "ws" ? await server.socket() : await server.stream());
      await pass(1_960);
      assert.deepEqual([server.attempts.length, live.state.status], [1, "waiting"], end.toString());
      await pass(60);
      assert.equal(server.attempts.length, 2, end.toString());
    }
  });

  test("are at least what the server asked for last, at each attempt until a connection has lasted", async () => {
    Math.random.mock.mockImplementation(() => 0);
    for (const [by, ask] of [
      ["ws", (socket) => socket.welcome({ retry: 4_000 }).drop()],
      ["ws", (socket) => socket.welcome({ retry: 9_000 }).closing("shutdown", true, { retry: 4_000 })],
      ["ws", (socket) => socket.accept().closing("busy", true, { retry: 4_000 })],
      ["sse", (stream) => stream.welcome({ retry: 4_000 }).end()],
      ["sse", (stream) => stream.welcome().closing("shutdown", true, { retry: 4_000 })],
      ["sse", (stream) => stream.refuse(503, "", { "retry-after": "4" })],
    ]) {
      const server = new Server();
      client(server, { transport: by });
      const cut = (connection) => (by === "ws" ? connection.drop() : connection.break());
      ask(by === "ws" ? await server.socket() : await server.stream());
      for (let time = 0; time < 3; time++) cut(await server.later(by));
      const short = (await server.later(by)).welcome({ id: "a-1" });
      await settle();
      cut(short);
      const lasting = (await server.later(by)).welcome({ id: "a-1" });
      await pass(5_100);
      lasting.heartbeat("a-1");
      await settle();
      cut(lasting);
      await server.later(by);
      const tenths = server.pauses.map((pause) => Math.round(pause / 100));
      assert.deepEqual(tenths, [40, 40, 40, 40, 40, 51 + 1], ask.toString());
    }
  });

  test("are those of the newest word of the server, longer or shorter", async () => {
    Math.random.mock.mockImplementation(() => 0);
    const server = new Server();
    client(server, { transport: "sse" });
    for (const seconds of ["3", "1", "2"]) {
      (await server.later("sse")).refuse(503, "", { "retry-after": seconds });
      (await server.later("sse")).refuse(500);
    }
    await server.later("sse");
    assert.deepEqual(server.pauses.map((pause) => Math.round(pause / 1_000)), [3, 3, 1, 1, 2, 2]);
  });

  test("are never nothing, whatever options are not given", async () => {
    Math.random.mock.mockImplementation(() => 0);
    const nothing = Object.fromEntries(
      ["minDelay", "maxDelay", "connectTimeout", "replyTimeout", "stableAfter", "silence", "maxUnsent", "transport"].map((name) => [name, undefined]),
    );
    const server = new Server();
    server.refusesSockets = true;
    client(server, { ...nothing });
    for (let time = 0; time < 5; time++) {
      (await server.stream()).break();
      await pass(100);
    }
    const starts = server.attempts.filter(({ by }) => by === "ws").map(({ at }) => at);
    assert.equal(starts.length, 6);
    for (const [index, at] of starts.slice(1).entries()) assert.ok(at - starts[index] >= 100);
  });
});
