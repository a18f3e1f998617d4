// What the page sends by POST, beside an event stream: one message at a time, behind which the others wait.
//
// What could lose, double or reorder a message, or leave a `send` open for ever:
//
// - a WebSocket takes over while a POST is under way, or gives way to an event stream while messages have no answer
// - an answer is cut in its middle, or never comes; the browser posts again by itself
// - the page's token function fails, or never answers, when a message is to be posted
// - of what may be dropped the newest is, and the older is posted

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Server, client, fate, onSocket, onStream, pass, posted, sent, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

describe("a message by POST", () => {
  test("is the same object, and answered by the same reply", async () => {
    const { live, server } = await onStream({ credentials: "include" });
    const what = fate(live.send("note", { text: "one" }, { key: "k" }));
    const post = await server.post();
    assert.deepEqual(post.body, { event: "note", data: { text: "one" }, key: "k" });
    assert.deepEqual([post.headers.get("content-type"), post.credentials, post.url], ["application/json", "include", "https://example.com/room"]);
    post.reply({ id: "a-2" });
    await settle();
    assert.deepEqual(what, { value: { id: "a-2" } });
  });

  test("leaves when the one before is answered", async () => {
    const { live, server } = await onStream();
    for (const data of [1, 2]) live.send("note", data).catch(() => {});
    const first = await server.post();
    assert.deepEqual(posted(server), [1]);
    first.reply();
    await settle();
    assert.deepEqual(posted(server), [1, 2]);
  });

  test("rejects with the server's error, its status and when to try again", async () => {
    const { live, server } = await onStream();
    const rejected = assert.rejects(live.send("note", 1), { code: "too-fast", status: 429, retry: 250 });
    (await server.post()).error(429, "too-fast", { retry: 250 });
    await rejected;
  });

  test("rejects with the status of an answer that is not Dualcast's", async () => {
    const { live, server } = await onStream();
    const rejected = assert.rejects(live.send("note", 1), { code: "http-500", status: 500, message: "<h1>Oh</h1> (http-500)" });
    (await server.post()).refuse(500, "<h1>Oh</h1>");
    await rejected;
  });

  test("is sent again from the queue where a proxy could not reach the server", async () => {
    for (const status of [502, 503, 504]) {
      const { live, server } = await onStream();
      const what = fate(live.send("note", 1, { whileAway: "queue" }));
      (await server.post()).refuse(status, "Bad Gateway");
      await pass(1_040);
      (await server.post()).reply("done");
      await settle();
      assert.deepEqual(what, { value: "done" }, status);
    }
  });

  test("is not posted again once its way and its answer may outlast the server's memory of its key", async () => {
    const { live, server, stream } = await onStream();
    const what = fate(live.send("note", 1, { whileAway: "queue" }));
    for (let seconds = 0; seconds < 130 && !what.error; seconds++) {
      server.posts.at(-1)?.refuse(503, "Unavailable");
      if (seconds % 15 === 0) stream.heartbeat("a-1");
      await pass(1_000);
    }
    const lastAfter = server.posts.at(-1).at - server.posts[0].at;
    assert.deepEqual([what.error, lastAfter > 96_000 && lastAfter < 100_000], ["unconfirmed", true], `${lastAfter} ms`);
  });

  test("may have been handled where its answer is cut off: before its head, or in its body", async () => {
    for (const head of [false, true]) {
      const { live, server } = await onStream();
      const [rejected, queued] = ["reject", "queue"].map((whileAway) => fate(live.send("note", 1, { whileAway })));
      const post = await server.post();
      if (head) post.accept("application/json").raw('{"control":');
      await settle();
      post.break();
      await settle();
      assert.deepEqual(rejected, { error: "unconfirmed" });
      const second = await server.post();
      if (head) second.accept("application/json").raw('{"control":');
      await settle();
      second.break();
      await pass(1_040);
      (await server.post()).reply("done");
      await settle();
      assert.deepEqual(queued, { value: "done" });
    }
  });

  test("may have been handled where no answer comes in time, head or body", async () => {
    for (const head of [false, true]) {
      const { live, server } = await onStream();
      const what = fate(live.send("note", 1));
      const next = fate(live.send("note", 2));
      const post = await server.post();
      if (head) post.accept("application/json");
      await pass(9_900);
      assert.deepEqual(what, {});
      await pass(200);
      assert.deepEqual(what, { error: "unconfirmed" });
      assert.ok(post.isGone);
      (await server.post()).reply("done");
      await settle();
      assert.deepEqual(next, { value: "done" });
    }
  });

  test("has a fresh token after a 401, once", async () => {
    const asked = [];
    const token = ({ refresh }) => `t${asked.push(refresh)}`;
    const { live, server } = await onStream({ token });
    const what = fate(live.send("note", 1));
    (await server.post()).refuse(401, "who?");
    const second = await server.post();
    assert.equal(second.headers.get("authorization"), "Bearer t3");
    assert.deepEqual(asked, [false, false, true]);
    second.refuse(401, "who?");
    await settle();
    assert.deepEqual(what, { error: "http-401" });
    assert.equal(server.posts.length, 2);
  });

  test("for which the page has no token just now is one without a connection", async () => {
    let isBroken = false;
    const token = () => (isBroken ? Promise.reject(new Error("no login")) : "t");
    const { live, server } = await onStream({ token });
    isBroken = true;
    const [rejected, dropped, queued] = ["reject", "drop", "queue"].map((whileAway) => fate(live.send("note", 1, { whileAway })));
    await settle();
    assert.deepEqual([rejected, dropped, queued], [{ error: "away" }, { value: null }, {}]);
    isBroken = false;
    await pass(1_040);
    (await server.post()).reply("done");
    await settle();
    assert.deepEqual(queued, { value: "done" });
  });

  test("is not held up for ever by a token that never comes", async () => {
    let answer = "t";
    const { live, server } = await onStream({ token: () => answer });
    answer = new Promise(() => {});
    const [first, second] = [fate(live.send("note", 1)), fate(live.send("note", 2))];
    await pass(10_100);
    assert.deepEqual(first, { error: "away" });
    answer = "t";
    await pass(10_100);
    assert.deepEqual(second, { error: "away" });
    const third = fate(live.send("note", 3));
    (await server.post()).reply("done");
    await settle();
    assert.deepEqual(third, { value: "done" });
  });
});

describe("a message while the transport changes", () => {
  test("is sent by WebSocket behind the POST that is under way, not before it", async () => {
    const server = new Server();
    server.refusesSockets = true;
    const { live } = client(server, { replyTimeout: 60_000 });
    const stream = (await server.stream()).welcome({ id: "a-1" });
    await settle();
    const all = ["reject", "drop", "queue"].map((whileAway, data) => fate(live.send("note", data, { whileAway })));
    const post = await server.post();
    server.refusesSockets = false;
    await pass(20_000);
    stream.heartbeat("a-1");
    await pass(10_000);
    const socket = server.attempts.at(-1).welcome({ id: "a-1" });
    await settle();
    assert.equal(live.state.transport, "ws");
    assert.deepEqual(sent(socket), []);
    post.reply("first");
    await settle();
    assert.deepEqual([posted(server), sent(socket), all], [[0], [1, 2], [{ value: "first" }, {}, {}]]);
  });

  test("is sent again, or rejected, where an event stream takes over from a WebSocket", async () => {
    const server = new Server();
    const { live } = client(server, { transport: ["sse", "ws"] });
    (await server.stream()).refuse(404);
    const socket = await server.welcome({ id: "a-1" });
    await pass(29_000);
    socket.heartbeat("a-1");
    const [rejected, queued] = ["reject", "queue"].map((whileAway, data) => fate(live.send("note", data, { whileAway })));
    await pass(1_020);
    (await server.stream()).welcome({ id: "a-1" });
    await settle();
    assert.equal(live.state.transport, "sse");
    assert.deepEqual(rejected, { error: "unconfirmed" });
    await pass(1_040);
    (await server.post()).reply("done");
    await settle();
    assert.deepEqual([posted(server), queued], [[1], { value: "done" }]);
  });
});

describe("a message that may be dropped", () => {
  test("is, without an error, when the client is closed: out, posted, or waiting for its turn", async () => {
    const onOne = await onSocket();
    const [out, rejected] = ["drop", "reject"].map((whileAway) => fate(onOne.live.send("cursor", 1, { whileAway })));
    onOne.live.close();
    const onOther = await onStream();
    const [posted, waiting] = ["note", "cursor"].map((event) => fate(onOther.live.send(event, 1, { whileAway: "drop" })));
    await onOther.server.post();
    onOther.live.close();
    await settle();
    assert.deepEqual([out, rejected, posted, waiting], [{ value: null }, { error: "unconfirmed" }, { value: null }, { value: null }]);
    assert.deepEqual([onOne.live.unsent, onOther.live.unsent], [0, 0]);
  });

  test("gives way to a newer one of its event while it waits for its turn, and no other does", async () => {
    const { live, server } = await onStream();
    const cursor = (data, whileAway = "drop") => fate(live.send("cursor", data, { whileAway }));
    const all = [cursor(0), cursor(1, "reject"), cursor(2, "queue"), cursor(3)];
    const other = fate(live.send("note", 4, { whileAway: "drop" }));
    assert.equal(live.unsent, 5);
    all.push(cursor(5), cursor(6));
    await settle();
    assert.deepEqual([all.map(({ value }) => value), live.unsent], [[undefined, undefined, undefined, null, null, undefined], 5]);
    for (let count = 0; count < 5; count++) (await server.post()).reply("done");
    await settle();
    assert.deepEqual(all.map(({ value }) => value), ["done", "done", "done", null, null, "done"]);
    assert.deepEqual([other, posted(server).toSorted(), live.unsent], [{ value: "done" }, [0, 1, 2, 4, 6], 0]);
    assert.deepEqual(posted(server).slice(0, 3), [0, 1, 2]);
  });

  test("gives way also where no more may wait, or the newest would be the one that is lost", async () => {
    const { live, server } = await onStream({ maxUnsent: 2 });
    const all = [0, 1, 2].map((data) => fate(live.send("cursor", data, { whileAway: "drop" })));
    const rejected = fate(live.send("cursor", 3));
    await settle();
    assert.deepEqual([all[1], rejected, live.unsent], [{ value: null }, { error: "queue-full" }, 2]);
    for (let count = 0; count < 2; count++) (await server.post()).reply("done");
    await settle();
    assert.deepEqual(posted(server), [0, 2]);
  });

  test("does not give way to what JSON can't hold", async () => {
    const { live, server } = await onStream();
    const all = [0, 1].map((data) => fate(live.send("cursor", data, { whileAway: "drop" })));
    await assert.rejects(live.send("cursor", 1n, { whileAway: "drop" }), TypeError);
    for (let count = 0; count < 2; count++) (await server.post()).reply("done");
    await settle();
    assert.deepEqual([posted(server), all], [[0, 1], [{ value: "done" }, { value: "done" }]]);
  });

  test("leaves at once on a WebSocket, each of them", async () => {
    const { live, socket } = await onSocket();
    for (const data of [1, 2, 3]) live.send("cursor", data, { whileAway: "drop" });
    assert.deepEqual(sent(socket), [1, 2, 3]);
  });
});
