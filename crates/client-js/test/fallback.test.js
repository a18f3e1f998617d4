// Which transport serves: the event stream where a WebSocket does not work, and the WebSocket again once it does.
//
// What could lose or double a message, loop without a pause, or leak a connection:
//
// - a WebSocket is let in and cut each time before its first word, by a proxy: for ever, if only a refusal counts
// - neither transport works, and each gives way to the other at once
// - a better transport takes over while messages are under way on both
// - a probe is under way when the connection that serves is lost, or the page closes the client
// - the page never answers by what right a probe comes

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Page, Server, client, fallenBack, pass, passAlive, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

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

  test("does not give way where the server closed it, wanting it back, or there is no other", async () => {
    for (const [transport, end] of [["auto", (socket) => socket.closing("shutdown", true)], ["ws", (socket) => socket.drop()]]) {
      const server = new Server();
      client(server, { transport });
      end(await server.welcome({ id: "a-1" }));
      await pass(1_020);
      assert.deepEqual(server.order, ["ws", "ws"]);
    }
  });

  test("gives way after a pause when it is let in and cut each time before its first word, and the event stream is cut, too", async () => {
    const server = new Server();
    client(server);
    for (let time = 0; time < 8; time++) {
      while (server.attempts.length <= time) await pass(100);
      const attempt = server.attempts[time];
      if (attempt.by === "ws") attempt.accept().drop();
      else attempt.break();
      await settle();
    }
    assert.deepEqual(server.order.slice(0, 8), ["ws", "sse", "ws", "sse", "ws", "sse", "ws", "sse"]);
    const seconds = server.pauses.slice(0, 7).map((pause) => Math.round(pause / 1_000));
    assert.deepEqual(seconds, [0, 1, 0, 2, 0, 4, 0]);
  });

  test("has a pause before each attempt, and stays, where it is cut each time behind its first word", async () => {
    const server = new Server();
    const { live } = client(server, { position: "a-1" });
    for (let time = 0; time < 8; time++) {
      while (server.attempts.length <= time) await pass(100);
      server.attempts[time].welcome({ id: "a-1" });
      await settle();
      assert.equal(live.state.status, "open");
      server.attempts[time].drop();
    }
    while (server.attempts.length <= 8) await pass(100);
    assert.deepEqual([...new Set(server.order)], ["ws"]);
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
      assert.deepEqual(JSON.parse(JSON.stringify(live.state)), { status: "open", transport: "sse" });
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
