// An event stream that is opened beside the one that serves: for other channels, or with a new token. The old one goes when the new one has
// opened, and the page notices nothing.
//
// What could lose or double a message, loop without a pause, or leave a stream open:
//
// - the serving stream is closed before the new one has opened: what is sent meanwhile is rejected, and the page waits
// - what comes by both; what comes by the old one once the new one has begun
// - many channels are joined at once, each of which opens a stream; or one while the new stream is being opened
// - the page has no token just now, or never answers; the new stream is refused, fails, says nothing, or fails each time
// - the serving stream is lost while the new one is being opened; or the page closes the client, or connects anew
// - one channel that is refused takes the others with it

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Server, client, fate, notesOf, pass, passAlive, settle, stopTime, streaming, welcome } from "./fakes.js";

beforeEach(() => stopTime());

/** The page noticed nothing. */
function assertUnnoticed({ states, told }) {
  assert.deepEqual([states.filter((status) => status !== "open"), told], [[], []]);
}

describe("an event stream for one more channel", () => {
  test("is opened beside the one that serves, which goes on until it has opened", async () => {
    const { server, page, stream, b } = await streaming();
    page.states.length = 0;
    const c = page.live.subscribe("c");
    const ready = fate(c.ready);
    const next = await server.later("sse");
    assert.deepEqual([next.channels, next.cursor, stream.isGone, page.live.state.status], ["b,c", "a-1", false, "open"]);
    stream.event("room/note", "own", "a-2").event("b/note", "b", "a-3");
    await pass(5_000);
    assert.deepEqual([page.messages, b.messages, ready, stream.isGone], [["own"], ["b"], {}, false]);
    welcome(next);
    await settle();
    assert.deepEqual([stream.isGone, ready, server.open, page.live.state.status], [true, { value: null }, 1, "open"]);
    assertUnnoticed(page);
  });

  test("takes over where the page stands: nothing is lost, nothing comes twice", async () => {
    const { server, page, stream, b } = await streaming();
    const c = notesOf(page.live.subscribe("c"));
    const next = await server.later("sse");
    stream.event("room/note", 2, "a-2").event("b/note", 3, "a-3");
    await settle();
    welcome(next).event("room/note", 2, "a-2").event("b/note", 3, "a-3").event("c/note", 4, "a-4").event("room/note", 5, "a-5");
    stream.event("room/note", 5, "a-5").event("b/note", 6, "a-6");
    await settle();
    next.event("b/note", 6, "a-6").heartbeat("a-6");
    await settle();
    assert.deepEqual([page.messages, b.messages, c.messages], [["2", "5"], ["3", "6"], ["4"]]);
    assertUnnoticed(page);
  });

  test("is opened once for those that are joined in one go, or soon after", async () => {
    const { server, page } = await streaming();
    const ready = ["c", "d"].map((name) => fate(page.live.subscribe(name).ready));
    await pass(20);
    ready.push(fate(page.live.subscribe("e").ready));
    const next = await server.later("sse");
    assert.equal(next.channels, "b,c,d,e");
    welcome(next);
    await passAlive(next, 60_000, "a-1");
    assert.deepEqual([server.attempts.length, ready], [2, [{ value: null }, { value: null }, { value: null }]]);
  });

  test("is followed by another where a channel is joined, or left, while it is being opened", async () => {
    const { server, page, channel } = await streaming();
    page.states.length = 0;
    const ready = [fate(page.live.subscribe("c").ready)];
    await server.later("sse");
    ready.push(fate(page.live.subscribe("d").ready));
    channel.unsubscribe();
    const welcomed = new Set();
    for (let time = 0; time < 3; time++) {
      await pass(200);
      const last = server.attempts.at(-1);
      if (!last.isGone && !welcomed.has(last)) welcome(last);
      welcomed.add(last);
    }
    await settle();
    assert.deepEqual([server.open, server.attempts.at(-1).channels, ready], [1, "c,d", [{ value: null }, { value: null }]]);
    assert.ok(server.attempts.length <= 3);
    assertUnnoticed(page);
  });

  test("costs no message: what is posted goes on, and what waits behind it leaves", async () => {
    const { server, page } = await streaming();
    const all = ["reject", "drop", "reject", "drop"].map((whileAway, data) => fate(page.live.send(`${data}`, data, { whileAway })));
    const post = await server.post();
    page.live.subscribe("c");
    const next = await server.later("sse");
    all.push(...["reject", "drop"].map((whileAway, data) => fate(page.live.send(`${data + 4}`, data + 4, { whileAway }))));
    post.reply(0);
    (await server.post()).reply(1);
    const third = await server.post();
    welcome(next);
    await settle();
    third.reply(2);
    for (const data of [3, 4, 5]) (await server.post()).reply(data);
    await settle();
    assert.deepEqual(all, [0, 1, 2, 3, 4, 5].map((value) => ({ value })));
    assert.deepEqual(server.posts.map(({ body }) => body.data), [0, 1, 2, 3, 4, 5]);
  });

  test("is not heard of a channel that is left, by neither stream", async () => {
    const { server, page, stream, channel, b } = await streaming();
    channel.unsubscribe();
    const next = await server.later("sse");
    assert.deepEqual([next.channels, stream.isGone], [null, false]);
    stream.event("b/note", "late", "a-2");
    await settle();
    welcome(next).event("note", "own", "a-3");
    await settle();
    assert.deepEqual([b.messages, page.messages.length, stream.isGone], [[], 1, true]);
  });

  test("whose token fails, or never comes, leaves the one that serves until the server closes that", async () => {
    for (const answer of [() => Promise.reject(new Error("no login")), () => new Promise(() => {})]) {
      let token = () => "t";
      const { server, page, stream } = await streaming({ token: () => token() });
      page.states.length = 0;
      token = answer;
      const ready = fate(page.live.subscribe("c").ready);
      await passAlive(stream, 120_000, "a-1");
      stream.event("room/note", "own", "a-2");
      await settle();
      assert.deepEqual([server.attempts.length, stream.isGone, page.messages, ready], [1, false, ["own"], {}]);
      assert.deepEqual(page.states.filter((status) => status !== "open"), []);
      token = () => "t";
      stream.closing("expired", true).end();
      const next = await server.later("sse");
      assert.equal(next.channels, "b,c");
      welcome(next);
      await settle();
      assert.deepEqual([ready, page.live.state.status, server.open], [{ value: null }, "open", 1]);
    }
  });
});

describe("a new event stream that is refused", () => {
  for (const status of [400, 403, 404, 410]) {
    test(`with ${status} ends the channels that only it would have had, and the one that serves goes on`, async () => {
      const { server, page, stream, b } = await streaming();
      page.states.length = 0;
      const c = page.live.subscribe("c");
      const [ready, notes] = [fate(c.ready), notesOf(c)];
      (await server.later("sse")).refuse(status, "no");
      await settle();
      assert.deepEqual([ready, notes.all("closed").map(({ code }) => code)], [{ error: `http-${status}` }, [`http-${status}`]]);
      stream.event("b/note", "on", "a-2");
      await passAlive(stream, 60_000, "a-2");
      assert.deepEqual([b.messages, b.told, stream.isGone, server.attempts.length], [["on"], [], false, 2]);
      assertUnnoticed(page);

      const d = fate(page.live.subscribe("d").ready);
      const next = await server.later("sse");
      assert.equal(next.channels, "b,d", "c is over");
      welcome(next);
      await settle();
      assert.deepEqual([d, stream.isGone], [{ value: null }, true]);
    });
  }

  for (const [what, fail] of [["503", (stream) => stream.refuse(503, "busy")], ["a cut", (stream) => stream.break()], ["no stream", (stream) => stream.refuse(200, "hello")]]) {
    test(`by ${what} is tried again after pauses that grow, and the one that serves goes on`, async () => {
      const { server, page, stream } = await streaming();
      await passAlive(stream, 6_000, "a-1");
      page.states.length = 0;
      const ready = fate(page.live.subscribe("c").ready);
      for (let time = 0; time < 4; time++) {
        const next = await server.later("sse");
        stream.heartbeat("a-1");
        fail(next);
        await settle();
      }
      stream.event("room/note", "own", "a-2").heartbeat("a-2");
      await settle();
      assert.deepEqual([page.messages, stream.isGone, ready], [["own"], false, {}]);
      const next = await server.later("sse");
      assert.deepEqual(server.pauses.slice(1).map((pause) => Math.round(pause / 1_000)), [1, 2, 4, 8]);
      assert.deepEqual([next.channels, next.cursor], ["b,c", "a-2"]);
      welcome(next);
      await settle();
      assert.deepEqual([stream.isGone, ready, server.open], [true, { value: null }, 1]);
      assertUnnoticed(page);
    });
  }

  test("by nothing at all is given up in time, and tried again", async () => {
    const { server, page, stream } = await streaming();
    page.states.length = 0;
    const ready = fate(page.live.subscribe("c").ready);
    const silent = await server.later("sse");
    await passAlive(stream, 15_000, "a-1");
    const next = await server.later("sse");
    assert.deepEqual([silent.isGone, stream.isGone, next.at - silent.at > 10_000], [true, false, true]);
    welcome(next);
    await settle();
    assert.deepEqual([ready, server.open], [{ value: null }, 1]);
    assertUnnoticed(page);
  });
});

describe("an event stream that is being opened beside another", () => {
  test("leaves nothing open where the page closes the client, before or while it is opened", async () => {
    for (const early of [true, false]) {
      const { server, page } = await streaming();
      const ready = fate(page.live.subscribe("c").ready);
      if (!early) await server.later("sse");
      page.live.close();
      await pass(60_000);
      assert.deepEqual([server.open, server.attempts.length, ready], [0, early ? 1 : 2, { error: "closed" }]);
    }
  });

  test("is in nobody's way where the page connects anew, or the one that serves is lost", async () => {
    for (const end of [(page) => page.live.reconnect(), (_, stream) => stream.end(), (_, stream) => stream.closing("shutdown", true)]) {
      const { server, page, stream } = await streaming();
      const ready = fate(page.live.subscribe("c").ready);
      await server.later("sse");
      end(page, stream);
      await pass(1_100);
      const last = server.attempts.at(-1);
      assert.deepEqual([server.open, last.channels, last.isGone], [1, "b,c", false]);
      welcome(last);
      await passAlive(last, 60_000, "a-1");
      assert.deepEqual([server.open, page.live.state.status, ready], [1, "open", { value: null }]);
      assert.ok(server.attempts.length <= 3);
    }
  });
});

describe("an event stream and a WebSocket that are opened beside another at once", () => {
  for (const [first, second] of [["ws", "sse"], ["sse", "ws"]]) {
    test(`leave one connection, whichever opens first: ${first}`, async () => {
      const server = new Server();
      server.refusesSockets = true;
      const { live, told } = client(server);
      const serving = (await server.stream()).welcome({ id: "a-1", channels: ["room"] });
      await settle();
      server.refusesSockets = false;
      await passAlive(serving, 30_020, "a-1");
      live.subscribe("c");
      await pass(100);
      const opening = Object.fromEntries(server.attempts.slice(2).map((attempt) => [attempt.by, attempt]));
      assert.equal(serving.isGone, false);
      for (const by of [first, second]) {
        if (opening[by]?.isGone === false) opening[by].welcome({ id: "a-1", channels: ["room", ...(by === "sse" ? ["c"] : [])] });
        await pass(200);
      }
      assert.deepEqual([server.open, serving.isGone, live.state.status, told], [1, true, "open", []]);
    });
  }
});

describe("a session on an event stream that expires", () => {
  /** A client whose token function does what `token` says then. */
  async function expiring(token) {
    const asked = [];
    const server = new Server();
    const page = client(server, { transport: "sse", token: ({ refresh }) => token(asked.push(refresh)) });
    const stream = (await server.stream()).welcome({ id: "a-1", expires: 20_000, interval: 60_000 }).note("a-2");
    await settle();
    page.states.length = 0;
    await pass(15_900);
    assert.equal(asked.length, 1);
    await pass(200);
    return { asked, server, page, stream };
  }

  test("is opened anew with a new token at four fifths, beside the one that serves, again and again", async () => {
    const { asked, server, page, stream } = await expiring((count) => `t${count}`);
    const next = await server.stream();
    assert.deepEqual([stream.isGone, next.cursor, next.headers.get("authorization"), asked], [false, "a-2", "Bearer t2", [false, true]]);
    const what = fate(page.live.send("note", 1));
    stream.note("a-3");
    (await server.post()).reply("done");
    await settle();
    assert.deepEqual([what, page.messages], [{ value: "done" }, ["a-2", "a-3"]]);
    next.welcome({ id: "a-2", expires: 20_000, interval: 60_000 }).note("a-3").note("a-4").heartbeat("a-4");
    await settle();
    assert.deepEqual([stream.isGone, server.open, page.messages], [true, 1, ["a-2", "a-3", "a-4"]]);
    await pass(16_100);
    const third = await server.stream();
    assert.deepEqual([third.cursor, asked.at(-1), next.isGone], ["a-4", true, false]);
    assertUnnoticed(page);
  });

  test("lives on where the new token is not to be had, or the new stream is refused, until the server closes it", async () => {
    const answers = {
      fails: (count) => (count === 2 ? Promise.reject(new Error("no login")) : "t"),
      "never comes": (count) => (count === 2 ? new Promise(() => {}) : "t"),
      "is refused": () => "t",
    };
    for (const [what, answer] of Object.entries(answers)) {
      const { asked, server, page, stream } = await expiring(answer);
      if (what === "is refused") (await server.stream()).refuse(403, "no");
      await pass(500);
      stream.note("a-3");
      await settle();
      assert.deepEqual([stream.isGone, page.live.state.status, page.messages, page.states], [false, "open", ["a-2", "a-3"], []], what);
      stream.closing("expired", true).end();
      await pass(1_100);
      const next = server.attempts.at(-1);
      assert.deepEqual([next.isGone, next.cursor, asked.at(-1), server.open], [false, "a-3", true, 1], what);
      next.welcome({ id: "a-3" });
      await settle();
      assert.equal(page.live.state.status, "open", what);
    }
  });
});
