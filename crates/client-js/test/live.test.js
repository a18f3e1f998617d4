// The whole client: how it comes back, by which transport, and what it tells the page of that.
//
// What could lose or double a message, loop without a pause, or leak a connection or a timer:
//
// - the connection is lost before anything came by it, or after heartbeats only: the cursor must be presented again
// - a server accepts and drops at once, for ever; or every wake-up is an attempt
// - a better transport takes over while messages are under way on both
// - a probe is under way when the connection that serves is lost, or the page closes the client
// - the page closes the client, or connects anew, from within a handler of what is told just then
// - what the old connection still says comes after the new one has begun
// - the machine slept: timers are late, and the link is dead

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { beforeEach, describe, mock, test } from "node:test";
import { Page, Server, client, pass, passAlive, settle, setClock, sleepMachine, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

/** A client on the event stream, since its WebSockets are refused. */
async function fallenBack(options = {}) {
  const server = new Server();
  server.refusesSockets = true;
  const page = client(server, options);
  const stream = (await server.stream()).welcome({ id: "a-1" });
  await settle();
  server.refusesSockets = false;
  return { server, stream, ...page };
}

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

describe("what a server answers in place of a stream", () => {
  for (const status of [204, 403, 410]) {
    test(`is the end at ${status}`, async () => {
      const server = new Server();
      const { live, states, all } = client(server, { transport: "sse" });
      (await server.stream()).refuse(status, "no");
      await pass(60_000);
      assert.deepEqual([server.attempts.length, live.state.status, live.state.code], [1, "closed", status]);
      assert.deepEqual([all("closed"), states], [[live.state], ["closed"]]);
      assert.equal(live.state.reason, status === 204 ? "finished" : "refused");
    });
  }

  for (const status of [200, 400, 404, 429, 500, 502, 503]) {
    test(`is a reason to try again at ${status}`, async () => {
      const server = new Server();
      const { live } = client(server, { transport: "sse" });
      (await server.stream()).refuse(status, "no");
      await settle();
      assert.deepEqual([live.state.status, live.state.reason, live.state.code, live.state.message], ["waiting", "refused", status, "no"]);
      await pass(1_020);
      assert.equal(server.attempts.length, 2);
    });
  }

  test("is no stream where its type says so, though it goes on for ever", async () => {
    const server = new Server();
    const { live, messages } = client(server, { transport: "sse" });
    const stream = await server.stream();
    stream.accept("text/html").raw("event: note\ndata: no\n\n");
    await pass(10_020);
    assert.deepEqual([messages, live.state.status, stream.isGone], [[], "waiting", true]);
  });

  for (const status of [401, 403, 503]) {
    test(`is heard in time also where the body of ${status} never ends`, async () => {
      const server = new Server();
      const { live } = client(server, { transport: "sse" });
      const stream = await server.stream();
      stream.accept("text/plain", status);
      await pass(10_100);
      assert.notEqual(live.state.status, "connecting");
      assert.ok(stream.isGone);
    });
  }

  for (const isOpen of [true, false]) {
    test(`is a closing ${isOpen ? "after" : "in place of"} the opening, which says whether to come back`, async () => {
      for (const by of ["ws", "sse"]) {
        for (const [reason, reconnect] of [["shutdown", true], ["disconnected", false]]) {
          const server = new Server();
          const { live, states } = client(server, { transport: by });
          const connection = by === "ws" ? await server.socket() : await server.stream();
          if (isOpen) connection.welcome();
          else connection.accept();
          connection.closing(reason, reconnect);
          await settle();
          assert.deepEqual([live.state.status, live.state.reason, live.state.code], [reconnect ? "waiting" : "closed", reason, 4000], by);
          assert.equal(states.includes("open"), isOpen);
          await pass(60_000);
          assert.equal(server.attempts.length > 1, reconnect);
        }
      }
    });
  }
});

describe("a silence", () => {
  test("ends a connection after twice the server's interval", async () => {
    for (const by of ["ws", "sse"]) {
      const server = new Server();
      const { live } = client(server, { transport: by });
      const connection = by === "ws" ? await server.socket() : await server.stream();
      connection.welcome({ id: "a-1", interval: 4_000 });
      await pass(5_000);
      connection.note("a-2");
      await pass(7_900);
      assert.equal(live.state.status, "open", by);
      await pass(200);
      assert.deepEqual([live.state.status, live.state.reason, connection.isGone], ["waiting", "silent", true], by);
    }
  });

  test("is none while heartbeats come as comments, or the bytes of a large message", async () => {
    const server = new Server();
    const { live, messages } = client(server, { transport: "sse" });
    const stream = (await server.stream()).accept().raw(": heartbeat\n\n");
    for (let time = 0; time < 4; time++) {
      await pass(30_000);
      stream.raw(": heartbeat\n\n");
    }
    stream.raw("event: note\ndata: ");
    for (let time = 0; time < 4; time++) {
      await pass(30_000);
      stream.raw("a");
    }
    stream.raw("\n\n");
    await settle();
    assert.deepEqual([live.state.status, messages], ["open", ["aaaa"]]);
  });

  test("after which a machine wakes up is found when the page is seen, before any timer", async () => {
    const page = new Page();
    const server = new Server();
    const { live } = client(server, { transport: "ws" });
    const socket = await server.welcome({ id: "a-1" });
    page.hide();
    sleepMachine(3_600_000);
    page.show();
    assert.deepEqual([live.state.reason, socket.isGone], ["silent", true]);
    await pass(20);
    assert.equal((await server.socket()).cursor, "a-1");
  });

  test("after which a machine wakes up is found when the page sends, and the message is not lost in it", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "ws" });
    await server.welcome({ id: "a-1" });
    sleepMachine(3_600_000);
    const answer = live.send("note", 1, { whileAway: "queue" });
    await pass(2_000);
    const next = await server.welcome({ id: "a-1" });
    await settle();
    next.reply("done");
    assert.equal(await answer, "done");
  });

  test("is found within twice its limit though the clock is set back, or on, meanwhile", async () => {
    for (const by of ["ws", "sse"]) {
      for (const hours of [-1, 1]) {
        for (const when of [0, 29_000]) {
          const server = new Server();
          const { live } = client(server, { transport: by });
          const connection = by === "ws" ? await server.socket() : await server.stream();
          connection.welcome({ id: "a-1", interval: 15_000 });
          await pass(5_000);
          connection.heartbeat("a-1");
          await pass(when);
          setClock(hours * 3_600_000);
          await pass(60_100);
          assert.deepEqual([server.attempts.length > 1, connection.isGone, server.open <= 1], [true, true, true], `${by}, ${hours} h after ${when} ms`);
          assert.equal(live.state.reason, "silent");
          live.close();
        }
      }
    }
  });

  test("is none though the clock is set back while heartbeats come", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "ws" });
    const socket = await server.welcome({ id: "a-1", interval: 15_000 });
    for (let time = 0; time < 10; time++) {
      await pass(7_500);
      setClock(-3_600_000);
      await pass(7_500);
      socket.heartbeat("a-1");
    }
    assert.deepEqual([live.state.status, server.attempts.length], ["open", 1]);
  });

  test("may last for ever where the page wants that, without a timer that runs all the time", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "ws", silence: Infinity, connectTimeout: Infinity, replyTimeout: Infinity });
    await server.welcome();
    live.send("note", 1).catch(() => {});
    const timers = mock.method(globalThis, "setTimeout");
    await pass(1_000);
    assert.equal(timers.mock.callCount(), 0);
    timers.mock.restore();
    await pass(600_000);
    assert.equal(live.state.status, "open");
  });

  test("as a page chooses it is what ends a connection", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "ws", silence: 1_000 });
    await server.welcome();
    await pass(1_020);
    assert.equal(live.state.reason, "silent");
  });
});

describe("a WebSocket that does not work", () => {
  test("gives way to the event stream at once when it is refused, and that is remembered", async () => {
    const page = new Page();
    const { server, live, states } = await fallenBack();
    assert.deepEqual([server.order, server.pauses], [["ws", "sse"], [0]]);
    assert.deepEqual([live.state.transport, states], ["sse", ["connecting", "open"]]);
    assert.deepEqual([...page.storage.values()].map((value) => JSON.parse(value)), ["sse"]);
    const later = new Server();
    client(later);
    await settle();
    assert.deepEqual(later.order, ["sse"]);
  });

  for (const [what, accept] of [["opens and says nothing", true], ["does not open", false]]) {
    test(`gives way when it ${what} within the time`, async () => {
      const server = new Server();
      client(server);
      const socket = await server.socket();
      if (accept) socket.accept();
      await pass(9_980);
      assert.deepEqual(server.order, ["ws"]);
      await pass(40);
      assert.deepEqual([server.order, socket.isGone], [["ws", "sse"], true]);
    });
  }

  test("gives way when it falls silent behind its welcome, at its cursor", async () => {
    const server = new Server();
    client(server);
    (await server.welcome({ id: "a-1" })).note("a-2");
    await pass(30_020);
    assert.deepEqual(server.order, ["ws", "sse"]);
    assert.equal((await server.stream()).cursor, "a-2");
  });

  test("does not give way when it worked, and is lost or falls silent then", async () => {
    for (const isSilent of [true, false]) {
      const server = new Server();
      client(server);
      const socket = await server.welcome({ id: "a-1" });
      await pass(15_000);
      socket.heartbeat("a-1");
      if (isSilent) await pass(30_020);
      else socket.drop();
      await pass(2_000);
      assert.deepEqual(server.order, ["ws", "ws"]);
    }
  });

  test("gives way after a pause when it opens and is cut before it has lasted", async () => {
    for (const opened of [(socket) => socket.welcome({ id: "a-1" }), (socket) => socket.welcome({ id: "a-1" }).note("a-2")]) {
      const server = new Server();
      const { live, states } = client(server, { position: "a-1" });
      opened(await server.socket()).drop();
      await settle();
      assert.deepEqual([live.state.status, live.state.reason], ["waiting", "lost"]);
      await pass(1_020);
      assert.deepEqual([server.order, live.state.transport], [["ws", "sse"], "sse"]);
      assert.ok(server.pauses[0] >= 900, `${server.pauses} ms`);
      (await server.stream()).welcome({ id: "a-1" });
      await settle();
      assert.deepEqual(states, ["open", "waiting", "connecting", "open"]);
    }
  });

  test("does not give way where the server closed it, wanting it back, or there is no other", async () => {
    for (const [transport, end] of [["auto", (socket) => socket.closing("shutdown", true)], ["ws", (socket) => socket.drop()]]) {
      const server = new Server();
      client(server, { transport });
      end(await server.welcome({ id: "a-1" }));
      await pass(1_020);
      assert.deepEqual(server.order, ["ws", "ws"]);
    }
  });

  test("has a pause before each attempt where the event stream is cut each time, too", async () => {
    const server = new Server();
    const { live } = client(server);
    for (let time = 0; time < 8; time++) {
      while (server.attempts.length <= time) await pass(100);
      server.attempts[time].welcome({ id: "a-1" });
      await settle();
      assert.equal(live.state.status, "open");
      const { by } = server.attempts[time];
      if (by === "ws") server.attempts[time].drop();
      else server.attempts[time].end();
    }
    while (server.attempts.length <= 8) await pass(100);
    assert.deepEqual(server.order.slice(0, 2), ["ws", "sse"]);
    const seconds = server.pauses.map((pause) => Math.round(pause / 1_000));
    assert.deepEqual(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
  });

  test("says why while the event stream is tried in its place", async () => {
    for (const [reason, end] of [
      ["lost", async (socket) => socket.refuse()],
      ["silent", async () => pass(10_020)],
      ["silent", async (socket) => (socket.accept(), pass(10_020))],
    ]) {
      const server = new Server();
      const { live } = client(server);
      await end(await server.socket());
      const stream = await server.stream();
      const { status, transport, reason: why, retryAt } = live.state;
      assert.deepEqual([status, transport, why, retryAt], ["connecting", "sse", reason, undefined]);
      stream.welcome({ id: "a-1" });
      await settle();
      assert.deepEqual(live.state, { status: "open", transport: "sse" });
    }
  });

  test("leaves pauses between rounds where the event stream does not work either, and each begins with the best", async () => {
    const server = new Server();
    server.refusesSockets = true;
    client(server);
    for (let time = 0; time < 5; time++) (await server.later("sse")).refuse(503);
    assert.deepEqual(server.order.slice(0, 6), ["ws", "sse", "ws", "sse", "ws", "sse"]);
    const rounds = server.pauses.map((pause) => Math.round(pause / 1_000));
    assert.deepEqual(rounds.slice(0, 8), [0, 1, 0, 2, 0, 4, 0, 8]);
  });

  test("is tried where the event stream that was remembered fails", async () => {
    const page = new Page();
    const { server, stream } = await fallenBack();
    stream.end();
    await pass(1_020);
    (await server.stream()).refuse(404);
    await settle();
    assert.deepEqual(server.order, ["ws", "sse", "sse", "ws"]);
    server.attempts.at(-1).welcome({ id: "a-1" });
    await settle();
    assert.deepEqual([...page.storage.values()], ['"ws"']);
  });
});

describe("a WebSocket that is tried beside the event stream", () => {
  test("takes over where the page stands: nothing is lost, nothing comes twice", async () => {
    const { server, stream, live, messages, told, states } = await fallenBack();
    stream.note("a-2").heartbeat("a-2");
    await passAlive(stream, 29_000, "a-2");
    await pass(1_020);
    const socket = server.attempts.at(-1);
    assert.deepEqual([socket.by, socket.cursor, stream.isGone], ["ws", "a-2", false]);
    stream.note("a-3");
    await settle();
    socket.welcome({ id: "a-2" }).note("a-3").note("a-4");
    stream.note("a-4").note("a-5");
    await settle();
    socket.note("a-5");
    assert.deepEqual(messages, ["a-2", "a-3", "a-4", "a-5"]);
    assert.deepEqual([stream.isGone, live.state.transport, told], [true, "ws", []]);
    assert.deepEqual(states, ["connecting", "open", "open"]);
  });

  test("asks for the joined channels again, each at its cursor", async () => {
    const server = new Server();
    server.refusesSockets = true;
    const { live } = client(server);
    const channel = live.subscribe("b", { position: "a-1" });
    const heard = [];
    channel.on("note", (data) => heard.push(data));
    const stream = (await server.stream()).welcome({ id: "a-1", channels: ["room", "b"] });
    stream.event("b/note", "one", "a-2");
    await settle();
    server.refusesSockets = false;
    await passAlive(stream, 30_020);
    const socket = server.attempts.at(-1).welcome({ id: "a-2", channels: ["room"] });
    assert.deepEqual(socket.heard, [{ control: "subscribe", channel: "b", id: "a-2", ref: 1 }]);
    socket.reply({ id: "a-2" }).note("a-2", "one", { channel: "b" }).note("a-3", "two", { channel: "b" });
    assert.deepEqual(heard, ["one", "two"]);
  });

  test("is tried ever later while it fails, and the stream serves on", async () => {
    const { server, stream, live, states } = await fallenBack();
    server.refusesSockets = true;
    await passAlive(stream, 30_000 + 60_000 + 120_000 + 1_000, "a-1");
    const probes = server.attempts.slice(2).map(({ at }) => Math.round((at - server.attempts[0].at) / 1_000));
    assert.deepEqual(probes, [30, 90, 210]);
    assert.deepEqual([server.open, live.state.transport, states], [1, "sse", ["connecting", "open"]]);
  });

  test("is not tried later only because the stream came back meanwhile", async () => {
    const { server, stream } = await fallenBack();
    server.refusesSockets = true;
    let current = stream;
    for (let time = 0; time < 4; time++) {
      await pass(6_000);
      current.end();
      await pass(1_020);
      current = (await server.stream()).welcome({ id: "a-1" });
      await settle();
    }
    const before = server.attempts.length;
    await passAlive(current, 30_020, "a-1");
    assert.deepEqual(server.order.slice(before), ["ws"]);
  });

  test("is tried again later, too, where the page never answered by what right it comes", async () => {
    let answer = "t";
    const { server, stream, states } = await fallenBack({ token: () => answer });
    answer = new Promise(() => {});
    await passAlive(stream, 31_000, "a-1");
    assert.deepEqual(server.order, ["ws", "sse"]);
    answer = "t";
    // A probe may take as long as any attempt, and the next comes twice as late.
    for (let waited = 0; waited < 75_000 && server.attempts.length < 3; waited += 5_000) await passAlive(stream, 5_000, "a-1");
    assert.deepEqual(server.order, ["ws", "sse", "ws"]);
    server.attempts.at(-1).welcome({ id: "a-1" });
    await settle();
    assert.deepEqual([server.open, states], [1, ["connecting", "open", "open"]]);
  });

  test("is not opened by a right that came too late for it", async () => {
    let answer = "t";
    const { server, stream } = await fallenBack({ token: () => answer });
    let give;
    answer = new Promise((resolve) => (give = resolve));
    await passAlive(stream, 30_000 + 10_500, "a-1");
    give("late");
    await settle();
    assert.deepEqual(server.order, ["ws", "sse"]);
  });

  test("is not tried while the page is hidden or offline", async () => {
    const page = new Page();
    const { server, stream } = await fallenBack();
    page.hide();
    await passAlive(stream, 60_000, "a-1");
    assert.equal(server.attempts.length, 2);
    page.show();
    page.goOffline();
    await passAlive(stream, 60_000, "a-1");
    assert.equal(server.attempts.length, 2);
  });

  test("leaves nothing behind when the stream is lost while it is being opened", async () => {
    const { server, stream } = await fallenBack();
    await passAlive(stream, 30_020, "a-1");
    const probe = server.attempts.at(-1);
    assert.equal(probe.by, "ws");
    stream.end();
    await pass(1_020);
    assert.ok(probe.isGone);
    (await server.stream()).welcome({ id: "a-1" });
    await settle();
    assert.equal(server.open, 1);
  });

  test("leaves nothing behind when the page closes the client while it is being opened, or asked about", async () => {
    for (const early of [true, false]) {
      let slow;
      const token = () => slow;
      const { server, stream, live } = await fallenBack({ token });
      let resolve;
      slow = new Promise((done) => (resolve = done));
      await passAlive(stream, 30_020, "a-1");
      if (early) live.close();
      resolve("t");
      await settle();
      if (!early) live.close();
      await settle();
      assert.deepEqual([server.open, server.attempts.length], [0, early ? 2 : 3]);
    }
  });

  test("takes over from a probe that the stream outlived only if that is still wanted", async () => {
    const { server, stream, live } = await fallenBack();
    await passAlive(stream, 30_020, "a-1");
    const probe = server.attempts.at(-1);
    live.reconnect();
    await settle();
    probe.welcome({ id: "a-1" });
    await settle();
    assert.notEqual(live.state.status, "open");
  });

  test("gives way again at once where it falls silent at its beginning, and is left alone for longer", async () => {
    const { server, stream, live } = await fallenBack();
    await passAlive(stream, 30_020, "a-1");
    server.attempts.at(-1).welcome({ id: "a-1" });
    await pass(30_020);
    const next = server.attempts.at(-1);
    assert.equal(next.by, "sse");
    next.welcome({ id: "a-1" });
    const before = server.attempts.length;
    await passAlive(next, 45_000, "a-1");
    assert.deepEqual([server.attempts.length, live.state.transport], [before, "sse"]);
    await passAlive(next, 16_000, "a-1");
    assert.equal(server.attempts.length, before + 1);
  });
});

describe("the page", () => {
  test("closes the client in any status, and nothing stays open or goes on", async () => {
    for (const [status, arrange] of [
      ["connecting", async () => {}],
      ["open", async (server) => server.welcome()],
      ["waiting", async (server) => (await server.socket()).refuse()],
    ]) {
      const server = new Server();
      const { live, all } = client(server, { transport: "ws" });
      await arrange(server);
      await settle();
      assert.equal(live.state.status, status);
      const before = server.attempts.length;
      live.close();
      live.close();
      await pass(120_000);
      assert.deepEqual([live.state.status, live.state.reason, server.open, server.attempts.length, all("closed").length], ["closed", "left", 0, before, 1]);
    }
  });

  test("connects anew from any status, at its cursor", async () => {
    for (const [status, arrange] of [
      ["connecting", async () => {}],
      ["open", async (server) => server.welcome({ id: "a-3" })],
      ["waiting", async (server) => (await server.socket()).refuse()],
      ["closed", async (_, live) => live.close()],
    ]) {
      const server = new Server();
      const { live } = client(server, { transport: "ws", position: "a-3" });
      await arrange(server, live);
      await settle();
      assert.equal(live.state.status, status);
      const before = server.attempts.length;
      live.reconnect();
      await settle();
      assert.deepEqual([server.attempts.length, server.open], [before + 1, 1], status);
      server.attempts.at(-1).welcome({ id: "a-3" });
      await pass(2_000);
      assert.deepEqual([server.attempts.at(-1).cursor, live.state.status, server.open], ["a-3", "open", 1], status);
    }
  });

  test("may close the client from within whatever it is told", async () => {
    const scenes = {
      state: async (server) => (await server.welcome({ id: "a-1", expires: 10_000 })).drop(),
      note: async (server) => (await server.welcome({ id: "a-1" })).note("a-2").note("a-3"),
      "*": async (server) => (await server.welcome({ id: "a-1" })).note("a-2").note("a-3"),
      gap: async (server) => (await server.welcome({ id: "a-1" })).say({ control: "gap", channel: "room", id: "a-4", from: null, to: "a-4", reason: "slow" }).note("a-5"),
      recovered: async (server) => (await server.welcome({ id: "a-1" })).heartbeat("a-1").note("a-2"),
      unknown: async (server) => (await server.welcome({ id: "a-1" })).say("nonsense").note("a-2"),
      unsent: async (server, live) => {
        const socket = await server.welcome({ id: "a-1", expires: 10_000 });
        live.send("note", 1).catch(() => {});
        socket.drop();
      },
    };
    for (const [name, arrange] of Object.entries(scenes)) {
      for (const status of name === "state" ? ["connecting", "open", "waiting"] : [undefined]) {
        const server = new Server();
        const { live, messages } = client(server, { transport: "ws", token: () => "t", position: "a-1" });
        // Of two changes of `unsent` the second is in the middle of a loss.
        live.on(name, (value) => (status === undefined ? value !== 1 : value.status === status) && live.close());
        await arrange(server, live);
        await pass(120_000);
        assert.deepEqual([live.state.status, server.open], ["closed", 0], `${name} ${status}`);
        assert.ok(messages.length < 2 && server.attempts.length <= 2);
      }
    }
  });

  test("may close the client when it hears that a channel is refused", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "sse", token: () => "t" });
    live.subscribe("b").on("closed", () => live.close());
    (await server.stream()).welcome({ id: "a-1", expires: 10_000 });
    await pass(60_000);
    assert.deepEqual([live.state.status, server.open, server.attempts.length], ["closed", 0, 1]);
  });

  test("closes it by a signal, also by one that was given before", async () => {
    const controller = new AbortController();
    const server = new Server();
    const { live } = client(server, { signal: controller.signal });
    await server.welcome();
    controller.abort();
    assert.equal(live.state.status, "closed");
    const late = client(server, { signal: controller.signal }).live;
    await settle();
    assert.deepEqual([late.state.status, server.attempts.length, server.open], ["closed", 1, 0]);
  });

  test("keeps its signal to itself: a client that is closed listens to it no more, and one that began anew does again", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const listeners = () => getEventListeners(signal, "abort").length;
    for (const end of [(live) => live.close(), (_, socket) => socket.closing("disconnected", false)]) {
      const server = new Server();
      const { live } = client(server, { transport: "ws", signal });
      const socket = await server.welcome({ id: "a-1" });
      assert.equal(listeners(), 1);
      end(live, socket);
      await settle();
      assert.deepEqual([live.state.status, listeners()], ["closed", 0]);
      live.reconnect();
      live.reconnect();
      (await server.socket()).drop();
      await pass(2_000);
      assert.equal(listeners(), 1);
      live.close();
    }
    const server = new Server();
    const { live, all } = client(server, { transport: "ws", signal });
    live.close();
    live.reconnect();
    await settle();
    controller.abort();
    assert.deepEqual([live.state.status, live.state.reason, all("closed").length, server.open, listeners()], ["closed", "left", 2, 0, 0]);
  });

  test("hears of what the client does not know, or else the console does", async () => {
    const warned = mock.method(console, "warn", () => {});
    const server = new Server();
    const { all, live, messages } = client(server, { transport: "ws" });
    const socket = await server.welcome({ id: "a-1" });
    const strange = [{ control: "new", id: "a-9" }, { hello: 1 }, 7, null, [], "x", { control: "reply", ref: 99 }];
    socket.say(...strange.map((frame) => JSON.stringify(frame)), "no JSON", new ArrayBuffer(3));
    assert.equal(all("unknown").length, strange.length + 2);
    assert.equal(warned.mock.callCount(), 0);
    socket.note("a-2");
    assert.deepEqual([messages, live.cursor, live.state.status], [["a-2"], "a-2", "open"]);
    warned.mock.restore();
  });
});
