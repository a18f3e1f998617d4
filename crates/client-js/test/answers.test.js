// What answers in place of Dualcast's stream or reply: its own error, or a proxy's page.
//
// What could leave a page without a word, or without a stream that it may have:
//
// - the error is JSON, and the page shows that to people
// - a foreign page is megabytes long
// - who asks for a pause does it in a header, and the message is lost, or sent again at once
// - the right to one joined channel was taken back while there was no connection: it must not take the whole client with it
// - a stream is refused without its joined channels, too, for ever

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Server, client, fate, notesOf, onStream, pass, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

/** Dualcast's error, as the body of an answer. */
const errorOf = (code, message, more = {}) => JSON.stringify({ control: "error", code, message, ...more });

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

describe("a stream that is refused", () => {
  test("says why in the words of Dualcast's error", async () => {
    for (const [status, expected] of [[403, "closed"], [404, "waiting"], [503, "waiting"]]) {
      const server = new Server();
      const { live } = client(server, { transport: "sse" });
      (await server.stream()).refuse(status, errorOf("forbidden", "no right"), { "content-type": "application/json" });
      await settle();
      const { status: how, reason, code, message } = live.state;
      assert.deepEqual([how, reason, code, message], [expected, "refused", status, "no right"]);
    }
  });

  test("says why in the first 200 characters of another's page, be that JSON or not", async () => {
    const page = `<h1>Bad Gateway</h1>${"x".repeat(10_000)}`;
    const json = JSON.stringify({ message: "mine", code: "forbidden", more: "x".repeat(300) });
    for (const text of [page, json, JSON.stringify("x".repeat(300)), "null", ""]) {
      const server = new Server();
      const { live } = client(server, { transport: "sse" });
      (await server.stream()).refuse(502, text);
      await settle();
      assert.deepEqual([live.state.code, live.state.message], [502, text.slice(0, 200)]);
    }
  });
});

describe("a message that another than Dualcast refuses for now", () => {
  for (const status of [429, 503]) {
    test(`is rejected with when to try again, or tried then: ${status}`, async () => {
      const { live, server } = await onStream();
      const rejected = assert.rejects(live.send("note", 1), { code: `http-${status}`, status, retry: 3_000 });
      (await server.post()).refuse(status, "slow down", { "retry-after": "3" });
      await rejected;
      const [dropped, queued] = ["drop", "queue"].map((whileAway) => fate(live.send("note", whileAway, { whileAway })));
      (await server.post()).refuse(status, "slow down", { "retry-after": "3" });
      await settle();
      assert.deepEqual(dropped, { value: null });
      (await server.post()).refuse(status, "slow down", { "retry-after": "3" });
      await pass(2_900);
      assert.deepEqual([queued, server.posts.length], [{}, 3]);
      await pass(200);
      const again = await server.post();
      assert.equal(again.body.key, server.posts[2].body.key);
      again.reply("done");
      await settle();
      assert.deepEqual(queued, { value: "done" });
    });

    test(`is tried as ever where that names a date, or nonsense: ${status}`, async () => {
      for (const value of ["Wed, 21 Oct 2015 07:28:00 GMT", "soon", ""]) {
        const { live, server } = await onStream();
        const queued = fate(live.send("note", 1, { whileAway: "queue" }));
        (await server.post()).refuse(status, "slow down", { "retry-after": value });
        await pass(900);
        assert.equal(server.posts.length, 1, value);
        await pass(140);
        (await server.post()).reply("done");
        await settle();
        assert.deepEqual(queued, { value: "done" }, value);
      }
    });
  }

  test("is tried when Dualcast's own error says, whatever the header", async () => {
    const { live, server } = await onStream();
    const rejected = assert.rejects(live.send("note", 1), { code: "too-fast", status: 429, retry: 250 });
    (await server.post()).refuse(429, errorOf("too-fast", "slow down", { retry: 250 }), { "retry-after": "1" });
    await rejected;
  });
});

describe("a stream that is refused when the client comes back with joined channels", () => {
  /** A client whose stream with a joined channel "b" was lost, and the one that it then asks for. */
  async function comingBack() {
    const server = new Server();
    const page = client(server, { transport: "sse" });
    const channel = page.live.subscribe("b");
    (await server.stream()).welcome({ id: "a-1", channels: ["room", "b"] }).event("room/note", "own", "a-2").end();
    await pass(1_040);
    const stream = await server.stream();
    assert.deepEqual([stream.channels, stream.cursor], ["b", "a-1"]);
    return { server, page, stream, channel, b: notesOf(channel) };
  }

  for (const status of [400, 403, 404, 410]) {
    test(`with ${status} ends those channels, and is asked for without them after a pause`, async () => {
      const { server, page, stream, channel, b } = await comingBack();
      const after = fate(channel[Symbol.asyncIterator]().next());
      stream.refuse(status, "no");
      const next = await server.later("sse");
      assert.ok(server.pauses.at(-1) >= 900, `${server.pauses}`);
      assert.deepEqual([next.channels, next.cursor], [null, "a-2"]);
      assert.deepEqual([b.all("closed").map(({ code }) => code), after], [[`http-${status}`], { value: { value: undefined, done: true } }]);
      next.welcome({ id: "a-2" }).note("a-3", "on");
      await settle();
      assert.deepEqual([page.live.state.status, page.messages, page.all("closed")], ["open", ["own", "on"], []]);
      next.end();
      assert.equal((await server.later("sse")).channels, null, "nobody asks for them again");
    });
  }

  for (const status of [403, 410]) {
    test(`with ${status} is the end where it is refused without them, too`, async () => {
      const { server, page, stream } = await comingBack();
      stream.refuse(403, "no");
      (await server.later("sse")).refuse(status, "never");
      await pass(60_000);
      const { status: how, reason, code, message } = page.live.state;
      assert.deepEqual([how, reason, code, message], ["closed", "refused", status, "never"]);
      assert.deepEqual([server.attempts.length, server.open, page.all("closed").length], [3, 0, 1]);
    });
  }

  test("with 403 is the end at once where no channel was joined", async () => {
    const { server, page, stream, channel } = await comingBack();
    stream.welcome({ id: "a-2", channels: ["room", "b"] });
    await settle();
    channel.unsubscribe();
    (await server.later("sse")).welcome({ id: "a-2" });
    await settle();
    server.attempts.at(-1).end();
    await pass(1_040);
    (await server.later("sse")).refuse(403, "no");
    await pass(60_000);
    assert.deepEqual([page.live.state.status, server.attempts.length], ["closed", 4]);
  });

  test("with 429 or 503 is tried again with them", async () => {
    for (const status of [429, 503]) {
      const { server, stream, b } = await comingBack();
      stream.refuse(status, "not now");
      assert.equal((await server.later("sse")).channels, "b");
      assert.deepEqual(b.told, []);
    }
  });
});
