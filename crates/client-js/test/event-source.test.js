// The browser's own EventSource, for those who want it: it hears only what it listens to by name.
//
// What could lose a message, or give one out with the wrong id:
//
// - an event is listened to when the stream is open already, or of a channel that was joined
// - a volatile message bears the id of the one before it
// - it comes back by itself, without the client's cursor and pauses

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Server, client, pass, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

async function opened(welcome = {}, options = {}) {
  const server = new Server();
  const page = client(server, { transport: "eventsource", ...options });
  const heard = [];
  page.live.on("note", (data, { id, volatile }) => heard.push([data, id, volatile]));
  const source = await server.source();
  source.notice("heartbeat", { interval: 15_000, ...welcome }, "a-1");
  return { server, source, heard, ...page };
}

describe("an EventSource", () => {
  test("hears what the page listens to, before it opens and later", async () => {
    const { live, source, heard } = await opened();
    source.event("note", "one", "a-2").event("late", "lost to it", "a-3");
    live.on("late", (data) => heard.push(data));
    source.event("late", '{"x":1}', "a-4");
    assert.deepEqual(heard, [["one", "a-2", false], { x: 1 }]);
    assert.deepEqual([live.state.transport, live.cursor], ["eventsource", "a-4"]);
  });

  test("gives a volatile message no id, though it shows the last one", async () => {
    const { live, source, heard } = await opened();
    source.event("note", "logged", "a-2").event("note", "volatile").event("note", "logged", "a-3");
    assert.deepEqual(heard, [["logged", "a-2", false], ["volatile", undefined, true], ["logged", "a-3", false]]);
    assert.equal(live.cursor, "a-3");
  });

  test("hears binary messages, and each channel by its name", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "eventsource" });
    const heard = [];
    live.on("image", (data, { channel }) => heard.push([channel, [...data]]));
    const channel = live.subscribe("b");
    channel.on("image", (data) => heard.push(["b alone", [...data]]));
    const source = await server.source();
    assert.equal(source.channels, "b");
    source.notice("heartbeat", { channels: ["room", "b"] }, "a-1").event("room/image;base64", "AAE=", "a-2").event("b/image;base64", "Ag==", "a-3");
    assert.deepEqual(heard, [["room", [0, 1]], ["b alone", [2]]]);
  });

  test("is closed when it is lost, and another opened at the cursor after a pause", async () => {
    const { server, source, heard } = await opened();
    source.event("note", "one", "a-2").fail();
    await pass(900);
    assert.deepEqual([source.isGone, server.attempts.length], [true, 1]);
    await pass(120);
    const next = await server.source();
    assert.equal(next.cursor, "a-2");
    next.notice("heartbeat", {}, "a-2").event("note", "two", "a-3");
    assert.deepEqual(heard.map(([data]) => data), ["one", "two"]);
  });

  test("tells gaps, and ends where the server says so", async () => {
    const { source, all, live } = await opened();
    source.notice("gap", { channel: "room", from: "a-1", to: "a-5", reason: "slow" }, "a-5");
    source.notice("closing", { reason: "disconnected", code: 4005, reconnect: false });
    assert.deepEqual([all("gap").length, live.state.status, live.state.reason, source.isGone], [1, "closed", "disconnected", true]);
  });

  test("sends cookies where it is asked to, and messages by POST", async () => {
    const { server, source, live } = await opened({}, { credentials: "include" });
    assert.deepEqual(source.init, { withCredentials: true });
    const answer = live.send("note", 1);
    (await server.post()).reply("done");
    assert.equal(await answer, "done");
  });

  test("that falls silent is closed", async () => {
    const { source, live } = await opened();
    await pass(30_020);
    assert.deepEqual([source.isGone, live.state.reason], [true, "silent"]);
  });

  test("is not opened where the page closes the client while it is loaded", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "eventsource" });
    live.close();
    await settle();
    assert.equal(server.open, 0);
  });
});
