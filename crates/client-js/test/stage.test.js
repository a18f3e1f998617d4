// What a page listens to. A handler may do what it likes; the stream goes on.
//
// What could break the stream, or loop:
//
// - a handler throws, or its promise rejects; one that hears of errors does, too
// - a handler takes itself away, or another, or adds one, while a message is given out
// - a page iterates too slowly, or over what has ended already

import assert from "node:assert/strict";
import { beforeEach, describe, mock, test } from "node:test";
import { MAX_ITEMS, createStage } from "../js/dualcast/stage.js";
import { Server, client, fate, settle, stopTime } from "./fakes.js";

const give = (stage, event, data) => stage.give({ event, data, id: "a-1", channel: undefined, volatile: false });
const silent = () => createStage(() => {}, new Set());

describe("a handler", () => {
  test("hears its event, with what there is to know of the message", () => {
    const stage = silent();
    const heard = [];
    stage.on("note", (data, meta) => heard.push([data, meta]));
    stage.on("*", (item) => heard.push(item));
    give(stage, "note", 1);
    give(stage, "other", 2);
    const meta = { event: "note", id: "a-1", channel: undefined, volatile: false };
    assert.deepEqual(heard, [{ data: 1, ...meta }, [1, meta], { data: 2, ...meta, event: "other" }]);
  });

  test("of an application's event that is called like one of the client's own is apart from that", () => {
    const stage = silent();
    const heard = [];
    for (const name of ["gap", "error", "*", "state"]) {
      stage.on(name, () => heard.push(`own ${name}`));
      stage.onMessage(name, () => heard.push(`message ${name}`));
    }
    give(stage, "gap", 1);
    give(stage, "error", 1);
    stage.tell("gap", {});
    stage.tell("error", {});
    assert.deepEqual(heard, ["own *", "message gap", "own *", "message error", "own gap", "own error"]);
  });

  test("is called as often as it was added, and each is taken away by itself", () => {
    const stage = silent();
    let calls = 0;
    const handler = () => calls++;
    const off = stage.on("note", handler);
    stage.on("note", handler);
    give(stage, "note");
    off();
    off();
    give(stage, "note");
    assert.equal(calls, 3);
  });

  test("that was taken away while a message is given out does not hear it, and one that was added meanwhile neither", () => {
    const stage = silent();
    const heard = [];
    stage.on("note", () => {
      heard.push("first");
      off();
      stage.on("note", () => heard.push("added"));
    });
    const off = stage.on("note", () => heard.push("taken away"));
    give(stage, "note");
    assert.deepEqual(heard, ["first"]);
    give(stage, "note");
    assert.deepEqual(heard, ["first", "first", "added"]);
  });

  test("that takes itself away has been there", () => {
    const stage = silent();
    const off = stage.on("error", () => off());
    assert.deepEqual([stage.tell("error"), stage.tell("error")], [true, false]);
  });

  test("that throws or rejects is reported, and stops nothing", async () => {
    const failed = [];
    const stage = createStage((error) => failed.push(error), new Set());
    const heard = [];
    stage.on("note", () => {
      throw "thrown";
    });
    stage.on("note", async () => {
      throw "rejected";
    });
    stage.on("note", (data) => heard.push(data));
    give(stage, "note", 1);
    await settle();
    assert.deepEqual([heard, failed], [[1], ["thrown", "rejected"]]);
  });
});

describe("a page whose handlers fail", () => {
  beforeEach(() => stopTime());

  test("is told, and gets the next message", async () => {
    for (const transport of ["ws", "sse"]) {
      const server = new Server();
      const { live, messages, all } = client(server, { transport });
      const connection = transport === "ws" ? await server.socket() : await server.stream();
      live.on("note", () => {
        throw new Error("oh");
      });
      connection.welcome({ id: "a-1" }).note("a-2").note("a-3");
      await settle();
      assert.deepEqual(messages, ["a-2", "a-3"]);
      assert.deepEqual(all("error").map(({ message }) => message), ["oh", "oh"]);
      assert.equal(server.attempts.length, 1);
    }
  });

  test("also while it hears of errors, is told by the console, once", async () => {
    const told = mock.method(console, "error", () => {});
    for (const fail of [() => { throw new Error("again"); }, async () => { throw new Error("again"); }]) {
      told.mock.resetCalls();
      const server = new Server();
      const { live, messages } = client(server, { transport: "ws" });
      live.on("note", () => {
        throw new Error("oh");
      });
      live.on("error", fail);
      (await server.welcome({ id: "a-1" })).note("a-2");
      await settle();
      assert.deepEqual(messages, ["a-2"]);
      assert.deepEqual(told.mock.calls.map((call) => call.arguments.at(-1).message), ["again"]);
    }
    told.mock.restore();
  });

  test("without a handler for it is told by the console", async () => {
    const told = mock.method(console, "error", () => {});
    const stage = [];
    const server = new Server();
    const { implementations } = server;
    const { connect } = await import("../js/dualcast.js");
    const live = connect("https://example.com/room", { transport: "ws", ...implementations });
    live.on("note", () => {
      throw new Error("oh");
    });
    (await server.welcome({ id: "a-1" })).note("a-2");
    live.close();
    assert.deepEqual([told.mock.callCount(), stage], [1, []]);
    told.mock.restore();
  });
});

describe("an iteration", () => {
  test("has each message and gap from its first step on, in order", async () => {
    const stage = silent();
    const iteration = stage.iterate();
    give(stage, "note", "before");
    const first = iteration.next();
    give(stage, "note", 1);
    stage.tell("gap", { reason: "slow" });
    give(stage, "note", 2);
    const items = [(await first).value, (await iteration.next()).value, (await iteration.next()).value];
    assert.deepEqual(items.map(({ data, gap }) => data ?? gap), [1, { reason: "slow" }, 2]);
  });

  test("gives out what is left when the client is closed, and ends", async () => {
    const stage = silent();
    const iteration = stage.iterate();
    const first = iteration.next();
    for (const data of [1, 2]) give(stage, "note", data);
    stage.end();
    give(stage, "note", 3);
    assert.equal((await first).value.data, 1);
    const rest = [];
    for await (const { data } of iteration) rest.push(data);
    assert.deepEqual(rest, [2]);
  });

  test("that is left takes nothing with it", async () => {
    const stage = silent();
    const heard = [];
    const loop = (async () => {
      for await (const { data } of stage.iterate()) {
        heard.push(data);
        if (data === 2) break;
      }
    })();
    await settle();
    for (let data = 1; data <= 3; data++) give(stage, "note", data);
    await loop;
    assert.deepEqual(heard, [1, 2]);
    for (let data = 0; data <= MAX_ITEMS; data++) give(stage, "note", data);
  });

  test("that is given up while it waits ends at once, and so does the step that waited", async () => {
    const stage = silent();
    const iteration = stage.iterate();
    const waiting = [fate(iteration.next()), fate(iteration.next())];
    await settle();
    const returned = fate(iteration.return());
    await settle();
    const end = { value: { value: undefined, done: true } };
    assert.deepEqual([waiting, returned], [[end, end], end]);
    give(stage, "note", 1);
    const after = [fate(iteration.next()), fate(iteration.return())];
    await settle();
    assert.deepEqual(after, [end, end]);
  });

  test("that is given up before its first step, or with messages that nobody took, gives out nothing more", async () => {
    for (const begins of [false, true]) {
      const stage = silent();
      const iteration = stage.iterate();
      if (begins) {
        const first = iteration.next();
        for (const data of [1, 2, 3]) give(stage, "note", data);
        assert.equal((await first).value.data, 1);
      }
      await iteration.return();
      assert.deepEqual(await iteration.next(), { value: undefined, done: true });
    }
  });

  test("that falls too far behind gives out what it has, and says so", async () => {
    const stage = silent();
    const iteration = stage.iterate();
    const first = iteration.next();
    for (let data = 0; data <= MAX_ITEMS; data++) give(stage, "note", data);
    assert.equal((await first).value.data, 0);
    let count = 1;
    await assert.rejects(async () => {
      for await (const _ of iteration) count++;
    }, { code: "too-slow" });
    assert.equal(count, MAX_ITEMS);
  });

  test("that is full when the client is closed has lost nothing", async () => {
    const stage = silent();
    const iteration = stage.iterate();
    const first = iteration.next();
    for (let data = 0; data < MAX_ITEMS; data++) give(stage, "note", data);
    stage.end();
    await first;
    let count = 1;
    for await (const _ of iteration) count++;
    assert.equal(count, MAX_ITEMS);
  });

  test("over a client that is closed ends at once, and goes on after it began anew", async () => {
    stopTime();
    const server = new Server();
    const { live } = client(server, { transport: "ws" });
    live.close();
    const closed = fate(live[Symbol.asyncIterator]().next());
    await settle();
    assert.deepEqual(closed, { value: { value: undefined, done: true } });
    live.reconnect();
    const first = live[Symbol.asyncIterator]().next();
    (await server.welcome({ id: "a-1" })).note("a-2");
    assert.equal((await first).value.data, "a-2");
  });

  test("over a channel that was left ends at once", async () => {
    stopTime();
    const server = new Server();
    const { live } = client(server, { transport: "ws" });
    const channel = live.subscribe("b");
    channel.unsubscribe();
    const left = fate(channel[Symbol.asyncIterator]().next());
    await settle();
    assert.deepEqual(left, { value: { value: undefined, done: true } });
  });
});
