// A connection that says nothing any more: how it is found, and what is no silence.
//
// What could leave a page on a link that is dead, or take a good one from it:
//
// - the machine slept: timers are late
// - the clock is set, back or on
// - heartbeats are comments, or a large message takes its time

import assert from "node:assert/strict";
import { beforeEach, describe, mock, test } from "node:test";
import { Page, Server, client, pass, setClock, settle, sleepMachine, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

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
