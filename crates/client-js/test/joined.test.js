// The channels that a page joins: on a WebSocket on the live connection, on an event stream in its query.
//
// What could lose, double or misplace a message, or leave `ready` open for ever:
//
// - a channel is joined, or left, while a connection is being opened whose request does not say so yet
// - a channel is left, and its messages, gaps and endings are still under way: they must reach nobody, and move no other's cursor
// - it is left and joined again before either is answered
// - a joined channel stands behind the route's own: what is told of it, with smaller ids, must not pull the route's cursor back
// - the client goes from WebSocket to an event stream with channels at different places: the smallest is presented, and what the
//   page has seen is not given out again; a channel that stands in another life of the log is older than all
// - a heartbeat comes while a channel was asked for and is not followed yet: it must not move that channel's cursor
// - the answer to a joining comes when the connection has changed already

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Server, client, fate, notesOf, pass, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

/** A client on a WebSocket, which follows a channel "b" beside the route's own. */
async function withChannel({ own = "a-100", id = "a-50", ...options } = {}) {
  const server = new Server();
  const page = client(server, { transport: "ws", ...options });
  const socket = await server.welcome({ id: own });
  const channel = page.live.subscribe("b", { position: id });
  socket.reply({ id });
  await settle();
  return { server, page, socket, channel, b: notesOf(channel) };
}

describe("a joined channel on a WebSocket", () => {
  test("is asked for, and its messages come to it alone", async () => {
    const { page, socket, channel, b } = await withChannel();
    assert.deepEqual(socket.heard, [{ control: "subscribe", channel: "b", id: "a-50", ref: 1 }]);
    await channel.ready;
    socket.note("a-51", "to b", { channel: "b" }).note("a-101", "to all");
    assert.deepEqual([b.messages, page.messages], [["to b"], ["to all"]]);
    assert.deepEqual([channel.cursor, page.live.cursor], ["a-51", "a-101"]);
  });

  test("whose gap lies before the route's cursor leaves that where it is", async () => {
    const { server, page, socket, channel, b } = await withChannel({ position: "a-100" });
    socket.say({ control: "gap", channel: "b", id: "a-60", from: "a-50", to: "a-60", reason: "trimmed" });
    assert.equal(b.all("gap").length, 1);
    assert.deepEqual([channel.cursor, page.live.cursor], ["a-60", "a-100"]);
    socket.note("a-100");
    assert.deepEqual(page.messages, [], "it was seen");
    socket.drop();
    await pass(2_000);
    assert.equal((await server.socket()).cursor, "a-100");
  });
});

describe("a joined channel whose connection is lost", () => {
  test("is asked for again at its cursor, and the page has all only when that is answered", async () => {
    const { server, page, socket, channel, b } = await withChannel();
    socket.note("a-51", "one", { channel: "b" }).drop();
    await pass(2_000);
    const next = await server.welcome({ id: "a-100" });
    assert.deepEqual(next.heard.map(({ control, id }) => [control, id]), [["subscribe", "a-51"]]);
    next.note("a-101", "own").heartbeat("a-101");
    assert.deepEqual([page.told, channel.cursor], [[], "a-51"], "b has not come yet");
    next.reply({ id: "a-51" }).note("a-51", "one", { channel: "b" }).note("a-60", "two", { channel: "b" }).heartbeat("a-101");
    assert.deepEqual([b.messages, page.told], [["one", "two"], [["recovered", { count: 2, transport: "ws" }]]]);
    assert.deepEqual([page.live.cursor, channel.cursor], ["a-101", "a-101"]);
  });

  test("goes to an event stream at the smallest cursor, and what was seen is not given out again", async () => {
    const { server, page, socket, b } = await withChannel({ own: "a-100", id: "a-50", transport: "auto" });
    socket.note("a-51", "b seen", { channel: "b" }).note("a-101", "own seen");
    server.refusesSockets = true;
    socket.drop();
    await pass(1_040);
    const stream = await server.stream();
    assert.deepEqual([stream.cursor, stream.channels], ["a-51", "b"]);
    stream.welcome({ id: "a-51", channels: ["room", "b"] });
    stream.event("b/note", "b new", "a-52").event("room/note", "own seen", "a-101").event("room/note", "own new", "a-102").heartbeat("a-102");
    await settle();
    assert.deepEqual([page.messages, b.messages], [["own seen", "own new"], ["b seen", "b new"]]);
    assert.deepEqual(page.told, [["recovered", { count: 2, transport: "sse" }]]);
  });

  test("that stands in an older life of the log is what an event stream begins with", async () => {
    const { server, page, socket, b } = await withChannel({ own: "a-100", id: "a-50", transport: "auto" });
    socket.say({ control: "gap", channel: "room", id: "n-0", from: "a-100", to: "n-0", reason: "epoch" }).note("n-1", "own seen");
    server.refusesSockets = true;
    socket.drop();
    await pass(1_040);
    const stream = await server.stream();
    assert.equal(stream.cursor, "a-50");
    stream.welcome({ id: "a-50", channels: ["b", "room"] });
    for (const channel of ["b", "room"]) stream.notice("gap", { channel, from: "a-50", to: "n-0", reason: "epoch" }, "n-0");
    stream.event("room/note", "own seen", "n-1").event("b/note", "b new", "n-2").event("room/note", "own new", "n-3");
    await settle();
    assert.deepEqual([page.messages, b.messages], [["own seen", "own new"], ["b new"]]);
    assert.deepEqual(page.all("gap").map(({ channel }) => channel), ["room", "b"], "of each once");
  });
});

describe("the server's answer to a joining", () => {
  test("may be that it can't just now: then it is asked again, on this connection only", async () => {
    const { server, page, socket } = await withChannel();
    const ready = fate(page.live.subscribe("c").ready);
    socket.error("busy", { retry: 3_000 });
    await pass(2_900);
    assert.deepEqual([socket.heard.length, ready], [2, {}]);
    await pass(200);
    assert.equal(socket.heard.length, 3);
    socket.error("unavailable");
    socket.drop();
    await pass(2_000);
    const next = await server.welcome({ id: "a-100" });
    const count = next.heard.length;
    next.heard.filter(({ control }) => control === "subscribe").forEach((asked) => next.reply({ id: "a-100" }, asked));
    await pass(6_000);
    assert.deepEqual([count, next.heard.length, ready], [2, 2, { value: null }]);
  });

  test("may be no, or no longer, or that it has ended; and each ends what the page does with the channel", async () => {
    for (const [code, end] of [
      ["no-subscribe", (socket) => socket.error("no-subscribe")],
      ["revoked", (socket) => socket.reply({ id: "a-1" }).say({ control: "unsubscribed", channel: "c" })],
      ["finished", (socket) => socket.reply({ id: "a-1" }).say({ control: "finished", channel: "c", id: "a-2" })],
    ]) {
      const { page, socket, server } = await withChannel();
      const channel = page.live.subscribe("c");
      const notes = notesOf(channel);
      end(socket);
      await settle();
      const [error] = notes.all("closed");
      assert.equal(error?.code, code === "finished" ? undefined : code);
      assert.equal(notes.all("closed").length, 1, code);
      const after = fate(channel[Symbol.asyncIterator]().next());
      socket.drop();
      await pass(2_000);
      assert.deepEqual((await server.welcome()).heard.map((asked) => asked.channel), ["b"], "nobody asks for it again");
      assert.deepEqual(after, { value: { value: undefined, done: true } });
    }
  });

  test("may be that the connection has as many as it may: that is the end of this one, whatever the server says of later", async () => {
    const { server, page, socket, b } = await withChannel();
    const channel = page.live.subscribe("c");
    const [ready, notes] = [fate(channel.ready), notesOf(channel)];
    socket.error("too-many-channels", { retry: 1_000 });
    await pass(10_000);
    assert.deepEqual([ready, notes.all("closed").map(({ code }) => code)], [{ error: "too-many-channels" }, ["too-many-channels"]]);
    assert.equal(socket.heard.length, 2);
    socket.note("a-51", "on", { channel: "b" }).drop();
    await pass(2_000);
    const next = await server.welcome({ id: "a-100" });
    assert.deepEqual([next.heard.map((asked) => asked.channel), b.messages], [["b"], ["on"]]);
  });

  test("is the end of all channels when the client is closed", async () => {
    const { page, channel, b } = await withChannel();
    const open = fate(page.live.subscribe("c").ready);
    page.live.close();
    await settle();
    assert.deepEqual([b.all("closed").map(({ code }) => code), open], [["closed"], { error: "closed" }]);
    assert.equal(fate(channel.ready).error, undefined);
  });
});

describe("a channel that is joined when the client is closed", () => {
  test("is refused at once, and not asked for when the client begins anew", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "ws" });
    const socket = await server.welcome({ id: "a-1" });
    live.close();
    const channel = live.subscribe("b");
    const [ready, first] = [fate(channel.ready), fate(channel[Symbol.asyncIterator]().next())];
    await settle();
    assert.deepEqual([ready, first, socket.heard], [{ error: "closed" }, { value: { value: undefined, done: true } }, []]);
    channel.unsubscribe();
    live.reconnect();
    const next = await server.welcome({ id: "a-1" });
    assert.deepEqual(next.heard, []);
    const again = live.subscribe("b");
    const joined = fate(again.ready);
    assert.deepEqual(next.heard.map(({ control, channel }) => [control, channel]), [["subscribe", "b"]]);
    next.reply({ id: "a-1" });
    await settle();
    assert.deepEqual(joined, { value: null });
  });
});

describe("a channel that is left on a WebSocket", () => {
  test("is heard no more, and what is still said of it moves nobody else's cursor", async () => {
    const { page, socket, channel, b } = await withChannel({ own: "a-40", position: "a-40" });
    channel.unsubscribe();
    const left = socket.heard.at(-1);
    assert.deepEqual(left, { control: "unsubscribe", channel: "b", ref: 2 });
    socket.note("a-52", "late", { channel: "b" });
    socket.say({ control: "gap", channel: "b", id: "a-60", from: "a-52", to: "a-60", reason: "slow" });
    socket.say({ control: "merged", channel: "b", id: "a-61", count: 3 }, { control: "finished", channel: "b", id: "a-62" });
    assert.deepEqual([b.messages, b.told, page.messages, page.told], [[], [], [], []]);
    assert.equal(page.live.cursor, "a-40");
    socket.note("a-41");
    assert.deepEqual(page.messages, ["a-41"]);
  });

  test("and joined again before either is answered hears what comes behind the second joining", async () => {
    const { page, socket, channel, b } = await withChannel();
    channel.unsubscribe();
    const again = page.live.subscribe("b", { position: "a-55" });
    const heard = notesOf(again);
    const [left, joined] = socket.heard.slice(-2);
    socket.note("a-51", "of the first", { channel: "b" });
    socket.reply(undefined, left);
    socket.reply({ id: "a-55" }, joined);
    socket.note("a-56", "of the second", { channel: "b" });
    await again.ready;
    assert.deepEqual([b.messages, heard.messages], [[], ["of the second"]]);
    assert.equal(again.cursor, "a-56");
  });

  test("is not joined by an answer to what was asked before it was left", async () => {
    const { page, socket } = await withChannel();
    const first = page.live.subscribe("c");
    const asked = socket.heard.at(-1);
    first.unsubscribe();
    const second = page.live.subscribe("c");
    const [firstFate, secondFate] = [fate(first.ready), fate(second.ready)];
    socket.reply({ id: "a-70" }, asked);
    await settle();
    assert.deepEqual([firstFate, secondFate, second.cursor], [{ error: "closed" }, {}, undefined]);
  });

  test("ends its iterations", async () => {
    const { channel } = await withChannel();
    const next = fate(channel[Symbol.asyncIterator]().next());
    channel.unsubscribe();
    await settle();
    assert.deepEqual(next, { value: { value: undefined, done: true } });
  });
});

/** A client on an event stream, which follows a channel "b" beside the route's own, "room". */
async function streamWithChannel({ own = "a-100", id = "a-50" } = {}) {
  const server = new Server();
  const page = client(server, { transport: "sse", position: own });
  const channel = page.live.subscribe("b", { position: id });
  const stream = await server.stream();
  stream.welcome({ id: stream.cursor, channels: ["room", "b"] });
  await settle();
  return { server, page, stream, channel, b: notesOf(channel) };
}

describe("a joined channel on an event stream", () => {
  test("is in the query, at the smallest cursor, and nothing that was seen is given out", async () => {
    const { stream, page, channel, b } = await streamWithChannel();
    assert.deepEqual([stream.cursor, stream.channels], ["a-50", "b"]);
    await channel.ready;
    stream.event("room/note", "old", "a-80").event("b/note", "one", "a-81").event("room/note", "new", "a-101");
    await settle();
    assert.deepEqual([page.messages, b.messages], [["new"], ["one"]]);
  });

  test("beside channels that the URL names is added to them", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "sse", params: () => ({ ticket: "7" }) });
    live.subscribe("b");
    live.subscribe("c");
    const stream = await server.stream();
    assert.deepEqual([stream.channels, new URL(stream.url).searchParams.get("ticket")], ["b,c", "7"]);
  });

  test("that is joined while the stream is open is followed by the next, which opens soon", async () => {
    const { server, page } = await streamWithChannel();
    const c = page.live.subscribe("c");
    await pass(100);
    const next = await server.stream();
    assert.equal(next.channels, "b,c");
    next.welcome({ id: "a-50", channels: ["room", "b", "c"] });
    await c.ready;
  });

  test("that is joined while the stream is being opened is followed, too", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "sse" });
    const first = await server.stream();
    const ready = fate(live.subscribe("b").ready);
    first.welcome({ id: "a-1" });
    await pass(1_000);
    const next = await server.stream();
    assert.equal(next.channels, "b");
    next.welcome({ id: "a-1", channels: ["room", "b"] });
    await settle();
    assert.deepEqual(ready, { value: null });
  });

  test("that is left is heard no more, though the stream still tells of it", async () => {
    const { server, stream, page, channel, b } = await streamWithChannel({ own: "a-40" });
    channel.unsubscribe();
    stream.event("b/note", "late", "a-60").notice("gap", { channel: "b", from: "a-60", to: "a-70", reason: "slow" }, "a-70");
    await settle();
    assert.deepEqual([b.messages, page.messages, page.told], [[], [], []]);
    assert.equal(page.live.cursor, "a-40");
    await pass(100);
    assert.equal((await server.stream()).channels, null);
  });

  test("that is left while the stream is being opened is heard no more, either", async () => {
    const server = new Server();
    const { live, messages } = client(server, { transport: "sse", position: "a-40" });
    const channel = live.subscribe("b");
    const stream = await server.stream();
    channel.unsubscribe();
    stream.welcome({ id: "a-40", channels: ["room", "b"] }).event("b/note", "late", "a-60");
    await settle();
    assert.deepEqual(messages, []);
    assert.equal(live.cursor, "a-40");
    await pass(100);
    assert.equal((await server.stream()).channels, null);
  });

  test("that is left and joined again hears the stream that follows", async () => {
    const { server, page, channel } = await streamWithChannel();
    channel.unsubscribe();
    const again = page.live.subscribe("b", { position: "a-50" });
    const heard = notesOf(again);
    await pass(100);
    const next = await server.stream();
    assert.equal(next.channels, "b");
    next.welcome({ id: "a-50", channels: ["room", "b"] }).event("b/note", "one", "a-51");
    await settle();
    assert.deepEqual(heard.messages, ["one"]);
  });

  test("that the route does not follow is refused", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "sse" });
    const b = live.subscribe("b");
    const ready = fate(b.ready);
    (await server.stream()).welcome({ id: "a-1" });
    await settle();
    assert.deepEqual(ready, { error: "no-subscribe" });
  });

  test("is not refused by a server that just then takes nobody", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "sse" });
    const ready = fate(live.subscribe("b").ready);
    (await server.stream()).accept().closing("busy", true);
    await pass(2_000);
    (await server.stream()).welcome({ id: "a-1", channels: ["room", "b"] });
    await settle();
    assert.deepEqual(ready, { value: null });
  });
});
