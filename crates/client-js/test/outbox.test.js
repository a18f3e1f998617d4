// What the page sends: it acts once, in order, and each message gets an answer or an error.
//
// What could lose, double or reorder a message, or leave a `send` open for ever:
//
// - the connection is lost while a message is under way, or while it waits behind one
// - an error has no reference; an answer comes after the message was given up
// - what the server asks to try later is overtaken; or holds up the others for ever
// - a message is sent again whose key the server has forgotten, or will have when it comes
// - only the way to the server is dead: heartbeats come, and answers don't
// - a handler is slow, or many messages wait for one another: the link is not dead

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Server, client, fate, onSocket, onStream, pass, posted, sent, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

describe("a message on a WebSocket", () => {
  test("is sent with a reference, and answered by the reply to it", async () => {
    const { live, socket } = await onSocket();
    const [one, two] = [fate(live.send("note", { text: "one" })), fate(live.send("note", "two", { key: "k" }))];
    assert.deepEqual(socket.heard, [
      { event: "note", data: { text: "one" }, ref: 1 },
      { event: "note", data: "two", key: "k", ref: 2 },
    ]);
    assert.equal(live.unsent, 2);
    socket.reply({ id: "a-3" }, { ref: 2 }).reply(undefined, { ref: 1 });
    await settle();
    assert.deepEqual([one, two, live.unsent], [{ value: null }, { value: { id: "a-3" } }, 0]);
  });

  test("rejects with the server's error", async () => {
    const { live, socket } = await onSocket();
    const rejected = assert.rejects(live.send("note", 1), { name: "LiveError", code: "too-fast", retry: 250, message: "it is too-fast (too-fast)" });
    socket.error("too-fast", { retry: 250 });
    await rejected;
  });

  test("has nothing to do with an error that names no message", async () => {
    const { live, socket, all } = await onSocket();
    const open = fate(live.send("note", 1, { whileAway: "queue" }));
    socket.error("too-fast", { retry: 60_000 });
    socket.error("bad-message", {}, {});
    await settle();
    assert.deepEqual(open, {});
    assert.deepEqual(all("unknown").map(({ code }) => code), ["bad-message"]);
  });

  test("holds what it was at the call", async () => {
    const { live, socket } = await onSocket();
    const note = { text: "before" };
    live.send("note", note).catch(() => {});
    note.text = "after";
    assert.equal(socket.heard[0].data.text, "before");
    const server = new Server();
    const away = client(server, { transport: "ws", whileAway: "queue" }).live;
    note.text = "before";
    away.send("note", note).catch(() => {});
    note.text = "after";
    assert.equal((await server.welcome()).heard[0].data.text, "before");
  });

  test("that JSON can't hold rejects, and holds up nothing", async () => {
    const { live, socket } = await onSocket();
    const cyclic = {};
    cyclic.self = cyclic;
    await assert.rejects(live.send("note", cyclic), TypeError);
    await assert.rejects(live.send("note", 1n), TypeError);
    assert.equal(live.unsent, 0);
    const open = fate(live.send("note"));
    assert.deepEqual(socket.heard, [{ event: "note", ref: 1 }]);
    socket.reply(7);
    await settle();
    assert.deepEqual(open, { value: 7 });
  });
});

describe("a message while there is no connection", () => {
  for (const [policy, expected] of [["reject", { error: "away" }], ["drop", { value: null }], ["queue", {}]]) {
    test(`is dealt with as the page wants: ${policy}`, async () => {
      const server = new Server();
      const { live } = client(server, { transport: "ws", whileAway: { note: policy } });
      const what = fate(live.send("note", 1));
      await settle();
      assert.deepEqual([what, live.unsent], [expected, policy === "queue" ? 1 : 0]);
      const socket = await server.welcome();
      assert.deepEqual(sent(socket), policy === "queue" ? [1] : []);
    });
  }

  test("is rejected where its event is not named, and a call's own word goes first", async () => {
    const { live } = client(new Server(), { whileAway: { note: "queue" } });
    const [other, inherited, own] = [live.send("other"), live.send("toString"), live.send("other", 1, { whileAway: "drop" })].map(fate);
    await settle();
    assert.deepEqual([other, inherited, own], [{ error: "away" }, { error: "away" }, { value: null }]);
  });

  test("waits in order, within the bound, and leaves in order", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "ws", whileAway: "queue", maxUnsent: 3 });
    const all = [1, 2, 3, 4].map((data) => fate(live.send("note", data)));
    const dropped = fate(live.send("note", 5, { whileAway: "drop" }));
    await settle();
    assert.deepEqual([all.map(({ error }) => error), dropped], [[undefined, undefined, undefined, "queue-full"], { value: null }]);
    assert.deepEqual(sent(await server.welcome()), [1, 2, 3]);
  });

  test("has a key of its own in the queue, or the page's, and each try has the same", async () => {
    const { live, server, socket } = await onSocket();
    for (const key of [undefined, "mine"]) live.send("note", 1, { key, whileAway: "queue" }).catch(() => {});
    const keys = socket.heard.map(({ key }) => key);
    assert.match(keys[0], /^\d+(-\d+){3}$/);
    assert.equal(keys[1], "mine");
    socket.drop();
    await pass(2_000);
    assert.deepEqual((await server.welcome()).heard.map(({ key }) => key), keys);
  });

  test("is counted in `unsent`, each change told", async () => {
    const { live, socket } = await onSocket();
    const counts = [];
    live.on("unsent", (count) => counts.push(count));
    live.send("note", 1).catch(() => {});
    live.send("note", 2).catch(() => {});
    socket.reply(null, { ref: 1 }).reply(null, { ref: 2 });
    await settle();
    assert.deepEqual(counts, [1, 2, 1, 0]);
  });
});

describe("a message whose connection is lost before the answer", () => {
  for (const [policy, expected] of [["reject", { error: "unconfirmed" }], ["drop", { value: null }], ["queue", {}]]) {
    test(`is dealt with as the page wants: ${policy}`, async () => {
      const { live, server, socket } = await onSocket();
      const what = fate(live.send("note", 1, { whileAway: policy }));
      socket.drop();
      await settle();
      assert.deepEqual(what, expected);
      await pass(2_000);
      const next = await server.welcome();
      assert.deepEqual(sent(next), policy === "queue" ? [1] : []);
      if (policy === "queue") next.reply("done");
      await settle();
      assert.deepEqual(what, policy === "queue" ? { value: "done" } : expected);
    });
  }

  test("is sent again before those that came later", async () => {
    const { live, server, socket } = await onSocket();
    for (const data of [1, 2]) live.send("note", data, { whileAway: "queue" }).catch(() => {});
    socket.drop();
    await settle();
    live.send("note", 3, { whileAway: "queue" }).catch(() => {});
    await pass(500);
    live.send("note", 4, { whileAway: "queue" }).catch(() => {});
    await pass(1_500);
    assert.deepEqual(sent(await server.welcome()), [1, 2, 3, 4]);
  });

  for (const [replyTimeout, lifetime] of [[undefined, 100_000], [5_000, 110_000], [20_000, 80_000]]) {
    test(`is not sent again once its way and its answer may outlast the server's memory of its key: after ${lifetime} ms`, async () => {
      for (const comesBackAfter of [lifetime - 2_000, lifetime + 2_000]) {
        const { live, server, socket } = await onSocket({ maxDelay: 1_000, replyTimeout });
        const old = fate(live.send("note", "old", { whileAway: "queue" }));
        server.refusesSockets = true;
        socket.drop();
        await pass(60_000);
        const young = fate(live.send("note", "young", { whileAway: "queue" }));
        await pass(comesBackAfter - 60_000 - 1_000);
        assert.deepEqual([old, young], [{}, {}]);
        server.refusesSockets = false;
        await pass(1_040);
        const next = server.attempts.at(-1).welcome();
        await settle();
        const isKnown = comesBackAfter < lifetime;
        assert.deepEqual([old, young, sent(next)], isKnown ? [{}, {}, ["old", "young"]] : [{ error: "unconfirmed" }, {}, ["young"]]);
      }
    });
  }

  test("leaves for the first time however long an answer may take", async () => {
    const { live, socket } = await onSocket({ replyTimeout: 600_000 });
    const what = fate(live.send("note", 1, { whileAway: "queue" }));
    socket.reply("done");
    await settle();
    assert.deepEqual(what, { value: "done" });
  });

  test("that had not left, behind a POST, is rejected as one without a connection", async () => {
    const { live, server, stream } = await onStream();
    const [first, second, dropped, queued] = ["reject", "reject", "drop", "queue"].map((whileAway, data) => fate(live.send("note", data, { whileAway })));
    const post = await server.post();
    stream.end();
    await settle();
    assert.deepEqual([first, second, dropped, queued], [{}, { error: "away" }, { value: null }, {}]);
    post.reply("done");
    await settle();
    assert.deepEqual(first, { value: "done" }, "a POST goes on by itself");
    await pass(2_000);
    (await server.stream()).welcome({ id: "a-1" });
    await settle();
    assert.deepEqual(posted(server), [0, 3]);
  });
});

describe("what the server can't take just now", () => {
  for (const code of ["too-fast", "busy", "unavailable", "unconfirmed"]) {
    test(`is sent again when the server says, from the queue: ${code}`, async () => {
      const { live, socket } = await onSocket();
      const what = fate(live.send("note", 1, { whileAway: "queue" }));
      socket.error(code, { retry: 3_000 });
      await pass(2_960);
      assert.deepEqual([sent(socket), what], [[1], {}]);
      await pass(60);
      assert.deepEqual(sent(socket), [1, 1]);
      assert.equal(socket.heard[0].key, socket.heard[1].key);
    });
  }

  test("holds up those behind it, which leave in order", async () => {
    const { live, socket } = await onSocket();
    live.send("note", 1, { whileAway: "queue" }).catch(() => {});
    socket.error("too-fast");
    for (const data of [2, 3]) live.send("note", data).catch(() => {});
    assert.deepEqual(sent(socket), [1]);
    await pass(1_040);
    assert.deepEqual(sent(socket), [1, 1, 2, 3]);
  });

  test("is told to a page that did not want it in the queue", async () => {
    const { live, socket } = await onSocket();
    const [rejected, dropped] = ["reject", "drop"].map((whileAway) => fate(live.send("note", 1, { whileAway })));
    socket.error("busy", {}, { ref: 1 }).error("busy", {}, { ref: 2 });
    await settle();
    assert.deepEqual([rejected, dropped], [{ error: "busy" }, { value: null }]);
  });

  test("is no reason to try what never will do", async () => {
    const { live, socket } = await onSocket();
    const [queued, dropped] = ["queue", "drop"].map((whileAway) => fate(live.send("note", 1, { whileAway })));
    socket.error("bad-data", {}, { ref: 1 }).error("bad-data", {}, { ref: 2 });
    await settle();
    assert.deepEqual([queued, dropped], [{ error: "bad-data" }, { error: "bad-data" }]);
  });

  test("is given up when its key may run out under it", async () => {
    const { live, socket } = await onSocket();
    const what = fate(live.send("note", 1, { whileAway: "queue" }));
    const beat = async () => {
      socket.heartbeat("a-1");
      socket.error("busy", { retry: 10_000 });
      await pass(10_020);
    };
    for (let time = 0; time < 14 && !what.error; time++) await beat();
    assert.equal(what.error, "unconfirmed");
    assert.equal(sent(socket).length, 10);
  });
});

describe("a link that is dead towards the server only", () => {
  test("is found by a message without an answer, while heartbeats come", async () => {
    const { live, socket } = await onSocket();
    await pass(6_000);
    socket.heartbeat("a-1");
    const what = fate(live.send("note", 1));
    for (let seconds = 0; seconds < 10; seconds++) {
      assert.deepEqual(what, {});
      socket.heartbeat("a-1");
      await pass(1_000);
    }
    await settle();
    assert.deepEqual([what, live.state.reason], [{ error: "unconfirmed" }, "silent"]);
  });

  test("is none where many messages wait for one another, and answers keep coming", async () => {
    const { live, socket } = await onSocket();
    const all = Array.from({ length: 30 }, (_, data) => fate(live.send("note", data)));
    for (let ref = 1; ref <= 30; ref++) {
      await pass(1_000);
      socket.reply(ref, { ref });
      if (ref % 10 === 0) socket.heartbeat("a-1");
    }
    await settle();
    assert.deepEqual(all.map(({ value }) => value), Array.from({ length: 30 }, (_, index) => index + 1));
    assert.equal(live.state.status, "open");
  });
});

describe("a client that is closed", () => {
  test("rejects what has no answer, and what is sent then", async () => {
    const { live, socket } = await onSocket();
    const [out, queued] = ["reject", "queue"].map((whileAway) => fate(live.send("note", 1, { whileAway })));
    socket.error("busy", {}, { ref: 2 });
    const counts = [];
    live.on("unsent", (count) => counts.push(count));
    live.close();
    const late = fate(live.send("note", 1, { whileAway: "queue" }));
    await pass(5_000);
    assert.deepEqual([out, queued, late], [{ error: "unconfirmed" }, { error: "closed" }, { error: "closed" }]);
    assert.deepEqual([counts.at(-1), live.unsent], [0, 0]);
  });
});
