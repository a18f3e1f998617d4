// What a page does with the client: it closes it, connects anew, and hears, at any time.
//
// What could go on that nobody wants, or leak a connection, a timer or a listener:
//
// - the page closes the client, or connects anew, from within a handler of what is told just then
// - it closes the client for good, whose signal lives on; or begins anew, and the signal has to count again

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { beforeEach, describe, mock, test } from "node:test";
import { Server, client, pass, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

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
