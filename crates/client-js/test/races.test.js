// What happens at the same time: the page changes its mind while a link is being opened, or within a handler of what is told just then.
//
// What could hang, come back to life, or lose a message without a gap:
//
// - the page closes the client within what an attempt, or an opening, asks it or tells it
// - a channel is left and joined again, elsewhere, while a stream with the first is on its way
// - a refusal ends a channel that the refused stream was not asked for, or leaves one that nothing follows
// - a probe of the better transport takes the place of a stream that a joined channel waits for
// - channels come and go quicker than streams open: each change begins anew, and none is ever followed
// - a greeting that has no place is taken for a refusal, and the link stays open beside the other for ever

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Page, Server, client, fallenBack, fate, notesOf, pass, passAlive, settle, stopTime, streaming, welcome } from "./fakes.js";

beforeEach(() => stopTime());

describe("a client that the page closes", () => {
  test("while it hears that its token can't be had stays so", async () => {
    const server = new Server();
    const { live, states } = client(server, { token: () => Promise.reject(new Error("logged out")) });
    live.on("error", () => live.close());
    await pass(60_000);
    assert.deepEqual([states.at(-1), live.state.status, server.attempts.length], ["closed", "closed", 0]);
  });

  test("while it is asked for a token to send what waited stays so", async () => {
    const server = new Server();
    let isOver = false;
    const page = client(server, { transport: "sse", token: () => (isOver && page.live.close(), "t") });
    const sent = fate(page.live.send("note", 1, { whileAway: "queue" }));
    const stream = await server.stream();
    isOver = true;
    stream.welcome({ id: "a-1", expires: 10_000 });
    await pass(60_000);
    assert.deepEqual([page.states, server.attempts.length, server.open, sent], [["open", "closed"], 1, 0, { error: "closed" }]);
  });
});

describe("a probe of the better transport", () => {
  test("whose token the page answers by closing the client is not made again", async () => {
    const server = new Server();
    server.refusesSockets = true;
    let isOver = false;
    const page = client(server, { token: () => (isOver && page.live.close(), "t") });
    const stream = (await server.stream()).welcome({ id: "a-1" });
    await settle();
    isOver = true;
    await passAlive(stream, 30_020, "a-1");
    assert.equal(page.live.state.status, "closed");
    isOver = false;
    await pass(1_200_000);
    assert.deepEqual([server.order, server.open, page.states.at(-1)], [["ws", "sse"], 0, "closed"]);
  });

  test("comes in its time, however often another stream takes over meanwhile", async () => {
    const { server, live } = await fallenBack();
    for (let time = 0; time < 4 && server.order.filter((by) => by === "ws").length < 2; time++) {
      await pass(8_000);
      live.subscribe(`room.${time}`);
      await pass(100);
      if (server.attempts.at(-1).by === "sse") welcome(server.attempts.at(-1));
    }
    assert.deepEqual(server.order.filter((by) => by === "ws").length, 2);
  });
});

describe("a channel that is left and joined again", () => {
  test("while it is served ends where the stream that it needs is refused", async () => {
    const { server, page, stream, channel } = await streaming();
    channel.unsubscribe();
    const again = fate(page.live.subscribe("b").ready);
    (await server.later("sse")).refuse(403, "no");
    await passAlive(stream, 60_000, "a-1");
    assert.deepEqual([again, server.attempts.length, stream.isGone], [{ error: "http-403" }, 2, false]);
  });

  test("further back while the stream is being opened is asked for again, and misses nothing", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "sse", position: "a-40" });
    const first = live.subscribe("b");
    const stream = await server.stream();
    first.unsubscribe();
    const again = live.subscribe("b", { position: "a-5" });
    const { messages } = notesOf(again);
    welcome(stream).event("b/note", "41", "a-41").heartbeat("a-41");
    await settle();
    assert.deepEqual([messages, again.cursor], [[], "a-5"]);
    const next = await server.later("sse");
    assert.deepEqual([next.channels, next.cursor], ["b", "a-5"]);
    welcome(next).event("b/note", "6", "a-6").event("b/note", "41", "a-41");
    await settle();
    assert.deepEqual([messages, server.open], [["6", "41"], 1]);
  });

  test("further back while another stream is on its way to take over is asked for again", async () => {
    const { server, page } = await streaming({ position: "a-40" });
    const first = page.live.subscribe("c");
    const next = await server.later("sse");
    first.unsubscribe();
    const { messages } = notesOf(page.live.subscribe("c", { position: "a-5" }));
    welcome(next).event("c/note", "41", "a-41");
    await settle();
    assert.deepEqual(messages, []);
    const last = await server.later("sse");
    assert.deepEqual([last.channels, last.cursor], ["b,c", "a-5"]);
    welcome(last).event("c/note", "6", "a-6").event("c/note", "41", "a-41");
    await settle();
    assert.deepEqual(messages, ["6", "41"]);
  });
});

describe("a refused stream", () => {
  test("ends what it was asked for, and not what was joined meanwhile, which is asked for then", async () => {
    const { server, page, stream } = await streaming();
    const c = fate(page.live.subscribe("c").ready);
    const next = await server.later("sse");
    const d = fate(page.live.subscribe("d").ready);
    next.refuse(403, "no");
    await settle();
    assert.deepEqual([next.channels, c, d, stream.isGone], ["b,c", { error: "http-403" }, {}, false]);
    const last = await server.later("sse");
    assert.equal(last.channels, "b,d");
    welcome(last);
    await settle();
    assert.deepEqual([d, server.open], [{ value: null }, 1]);
  });

  test("to which a channel was joined at once ends that, and the client opens without it", async () => {
    for (const status of [400, 403, 404]) {
      const server = new Server();
      const { live } = client(server, { transport: "sse" });
      const ready = fate(live.subscribe("typo").ready);
      (await server.stream()).refuse(status, "no such channel");
      (await server.later("sse")).welcome({ id: "a-1" });
      await settle();
      assert.deepEqual([ready, live.state.status, server.attempts[1].channels], [{ error: `http-${status}` }, "open", null]);
    }
  });

  test("leaves the one that serves its own pause when that is lost", async () => {
    const { server, page, stream } = await streaming();
    await passAlive(stream, 15_000, "a-1");
    page.live.subscribe("c");
    (await server.later("sse")).refuse(503, "busy", { "retry-after": "3600" });
    await passAlive(stream, 15_000, "a-1");
    stream.end();
    await pass(1_020);
    assert.equal(server.attempts.length, 3);
  });

  test("for a new token is not asked for again before the pause is over that the server wants", async () => {
    const server = new Server();
    client(server, { transport: "sse", token: () => "t" });
    (await server.stream()).welcome({ id: "a-1", expires: 20_000, interval: 60_000 });
    await pass(16_100);
    (await server.stream()).refuse(503, "busy", { "retry-after": "30" });
    await pass(3_500);
    assert.equal(server.attempts.length, 2);
  });

  test("leaves ready what the one before it brought", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "sse" });
    const b = fate(live.subscribe("b").ready);
    const stream = await server.stream();
    const c = fate(live.subscribe("c").ready);
    welcome(stream);
    (await server.later("sse")).refuse(403, "no");
    await settle();
    assert.deepEqual([b, c, stream.isGone], [{ value: null }, { error: "http-403" }, false]);
  });
});

describe("a stream that a joined channel waits for", () => {
  test("is not given up for a probe of the better transport", async () => {
    const server = new Server();
    server.refusesSockets = true;
    const { live } = client(server);
    const serving = (await server.stream()).welcome({ id: "a-1", channels: ["room"] });
    await passAlive(serving, 29_700, "a-1");
    const ready = fate(live.subscribe("c").ready);
    const next = await server.later("sse");
    await pass(600);
    assert.equal(next.isGone, false);
    welcome(next);
    await settle();
    assert.deepEqual([ready, server.open], [{ value: null }, 1]);
  });

  test("opens, however quickly others come and go", async () => {
    const { server, page, stream } = await streaming();
    const ready = fate(page.live.subscribe("c").ready);
    let other;
    for (let time = 0; time < 20; time++) {
      other?.unsubscribe();
      other = page.live.subscribe(`other.${time}`);
      await pass(100);
      // Each takes longer to open than the next change does to come.
      if (time === 3) welcome(server.attempts[1]);
    }
    await settle();
    assert.deepEqual([ready, stream.isGone, server.attempts.length <= 4], [{ value: null }, true, true]);
  });

  test("is not asked for before the pause is over that the server wants", async () => {
    const { server, page, stream } = await streaming();
    page.live.subscribe("c");
    (await server.later("sse")).refuse(503, "busy", { "retry-after": "30" });
    await settle();
    page.live.subscribe("d");
    await passAlive(stream, 29_000, "a-1");
    assert.equal(server.attempts.length, 2);
    assert.equal((await server.later("sse")).channels, "b,c,d");
  });
});

describe("a greeting without a place", () => {
  test("takes over on a stream whose heartbeats are comments", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "sse" });
    const stream = await server.stream();
    stream.accept().raw("retry: 1000\n: heartbeat\n\n").note("a-5");
    await settle();
    const channel = live.subscribe("c");
    const [ready, { messages }] = [fate(channel.ready), notesOf(channel)];
    const next = await server.later("sse");
    next.accept().raw("retry: 1000\n: channels c,room\n: heartbeat\n\n").event("c/note", "x", "a-6");
    await settle();
    assert.deepEqual([ready, messages, stream.isGone, server.open], [{ value: null }, ["x"], true, 1]);
  });

  test("does not take over where it was asked for before there was a cursor, but asks with that", async () => {
    const server = new Server();
    const page = client(server, { transport: "sse" });
    const stream = (await server.stream()).accept().raw("retry: 1000\n: heartbeat\n\n");
    await settle();
    page.live.subscribe("c");
    const next = await server.later("sse");
    stream.note("a-1", "1");
    await settle();
    // It begins behind a-2, which the other has yet to tell.
    next.accept().raw("retry: 1000\n: channels c,room\n: heartbeat\n\n");
    await settle();
    const last = await server.stream();
    assert.deepEqual([next.isGone, stream.isGone, last.cursor], [true, false, "a-1"]);
    stream.note("a-2", "2");
    last.accept().raw("retry: 1000\n: channels c,room\n: heartbeat\n\n").event("room/note", "2", "a-2").event("room/note", "3", "a-3");
    await settle();
    assert.deepEqual([page.messages, server.open], [["1", "2", "3"], 1]);
  });

  test("takes over on a WebSocket of no channel but those that are joined, and not where it is refused", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "ws", params: () => ({ ticket: "1" }) });
    const socket = (await server.socket()).welcome({ channels: [], expires: 20_000, interval: 60_000 });
    live.subscribe("b");
    await settle();
    socket.reply({ id: "a-1" }).heartbeat("a-2");
    await pass(16_100);
    (await server.later("ws")).welcome({ interval: 60_000 }).closing("busy", true);
    await settle();
    assert.deepEqual([socket.isGone, live.state.status], [false, "open"]);
    (await server.later("ws")).welcome({ channels: [], interval: 60_000 });
    await settle();
    assert.deepEqual([socket.isGone, server.open], [true, 1]);
  });
});

describe("a joined channel", () => {
  test("is heard by native EventSource by names that only its second handle listens to", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "eventsource" });
    live.subscribe("b").on("x", () => {});
    const source = await server.later("eventsource");
    source.notice("heartbeat", { interval: 15_000, channels: ["b", "room"] }, "a-1");
    await settle();
    const heard = [];
    live.subscribe("b").on("y", (data) => heard.push(data));
    source.event("b/y", "1", "a-2");
    await settle();
    assert.deepEqual(heard, [1]);
  });

  test("whose asking is larger than the server takes ends with that", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "ws" });
    await server.welcome({ id: "a-1", max_bytes: 60 });
    const ready = fate(live.subscribe("room.with.a.long.name", { position: "0k3f9x2abz-1041" }).ready);
    await settle();
    assert.deepEqual(ready, { error: "too-large" });
  });

  test("of an older life than the page's position is asked for by its own, also after a reload", async () => {
    const page = new Page();
    for (const saved of [{}, { "": "a-60", "*": "a-60", x: "a-50" }, { "": "b-9", "*": "b-9", x: "a-50" }]) {
      page.storage.set("dualcast cursors true https://example.com/room", JSON.stringify(saved));
      const server = new Server();
      const { live } = client(server, { transport: "sse", persist: true, ...(saved["*"] !== "b-9" && { position: "b-10" }) });
      live.subscribe("x", { position: "a-50" });
      assert.equal((await server.stream()).cursor, "a-50");
    }
  });
});
