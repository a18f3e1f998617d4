// Several handles on one channel: two parts of a page that each join it, and know nothing of each other.
//
// What could lose a message, double one, or leave a part of the page without its channel:
//
// - one part leaves the channel, and takes it away from the other; or leaves twice, and is counted twice
// - the last one leaves, and the server goes on; or the first one, and is heard on
// - the second joins before the first is answered, or after: its `ready` must come true, and nothing be asked twice
// - what the client hears for itself comes once for each handle

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Server, client, fate, notesOf, pass, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

/** A client with two handles on a channel "b", which is followed. */
async function withTwo() {
  const server = new Server();
  const page = client(server, { transport: "ws" });
  const socket = await server.welcome({ id: "a-1" });
  const first = page.live.subscribe("b", { position: "a-1" });
  socket.reply({ id: "a-1" });
  await settle();
  const second = page.live.subscribe("b");
  return { server, page, socket, first, second, ofFirst: notesOf(first), ofSecond: notesOf(second) };
}

/** What the client asked of channels, and of which. */
const asked = (socket) => socket.heard.map(({ control, channel }) => `${control} ${channel}`);

/** Takes an iteration's items until it ends. */
function collect(iterable) {
  const items = [];
  const iteration = (async () => {
    for await (const item of iterable) items.push(item.data ?? item);
    items.push("end");
  })();
  iteration.catch((error) => items.push(error));
  return items;
}

describe("a channel that is joined twice", () => {
  test("has a handle for each, with handlers of its own, and is asked for once", async () => {
    const { socket, first, second, ofFirst, ofSecond, page } = await withTwo();
    assert.notEqual(first, second);
    assert.deepEqual([first.name, second.name, asked(socket)], ["b", "b", ["subscribe b"]]);
    const alone = [];
    second.on("note", (data) => alone.push(data));
    socket.note("a-2", "one", { channel: "b" });
    assert.deepEqual([ofFirst.messages, ofSecond.messages, alone, page.messages], [["one"], ["one"], ["one"], []]);
    assert.deepEqual([first.cursor, second.cursor], ["a-2", "a-2"]);
  });

  test("is ready at once for the second where it is followed already", async () => {
    const { second } = await withTwo();
    const ready = fate(second.ready);
    await settle();
    assert.deepEqual(ready, { value: null });
  });

  test("is ready for both when the one asking is answered, or for the second where the first has left", async () => {
    for (const leaves of [false, true]) {
      const server = new Server();
      const { live } = client(server, { transport: "ws" });
      const socket = await server.welcome({ id: "a-1" });
      const handles = [live.subscribe("b"), live.subscribe("b")];
      const ready = handles.map((handle) => fate(handle.ready));
      if (leaves) handles[0].unsubscribe();
      await settle();
      assert.deepEqual([asked(socket), ready[1]], [["subscribe b"], {}]);
      socket.reply({ id: "a-1" });
      await settle();
      assert.deepEqual(ready, [leaves ? { error: "closed" } : { value: null }, { value: null }]);
    }
  });

  test("stands where the first handle says, whatever position the second names", async () => {
    const { server, page, socket } = await withTwo();
    const third = page.live.subscribe("b", { position: "a-500" });
    socket.note("a-2", "one", { channel: "b" }).drop();
    await pass(1_040);
    const next = await server.welcome({ id: "a-1" });
    assert.deepEqual(next.heard.map(({ channel, id }) => [channel, id]), [["b", "a-2"]]);
    assert.equal(third.cursor, "a-2");
  });

  test("tells a gap and its end to each handle, and to the client once", async () => {
    const { page, socket, ofFirst, ofSecond } = await withTwo();
    const items = collect(page.live.subscribe("b"));
    socket.say({ control: "gap", channel: "b", id: "a-9", from: "a-1", to: "a-9", reason: "slow" });
    socket.say({ control: "merged", channel: "b", id: "a-10", count: 3 });
    socket.say({ control: "finished", channel: "b", id: "a-11" });
    await settle();
    for (const { told } of [ofFirst, ofSecond]) {
      assert.deepEqual(told.map(([name, value]) => [name, value?.channel]), [["gap", "b"], ["merged", "b"], ["finished", "b"], ["closed", undefined]]);
    }
    assert.deepEqual(page.told.map(([name]) => name), ["gap", "merged", "finished"]);
    assert.deepEqual(items.map((item) => item.gap?.to ?? item), ["a-9", "end"]);
  });

  test("tells each handle why it ended: taken back, refused, or closed with the client", async () => {
    for (const [code, end] of [
      ["revoked", ({ socket }) => socket.say({ control: "unsubscribed", channel: "b" })],
      ["closed", ({ page }) => page.live.close()],
    ]) {
      const two = await withTwo();
      end(two);
      await settle();
      for (const notes of [two.ofFirst, two.ofSecond]) assert.deepEqual(notes.all("closed").map((error) => error.code), [code]);
    }
    const server = new Server();
    const { live } = client(server, { transport: "ws" });
    const socket = await server.welcome({ id: "a-1" });
    const ready = [live.subscribe("b"), live.subscribe("b")].map((handle) => fate(handle.ready));
    socket.error("no-subscribe");
    await settle();
    assert.deepEqual(ready, [{ error: "no-subscribe" }, { error: "no-subscribe" }]);
  });

  test("is asked for once again after its connection is lost, and goes on for both", async () => {
    const { server, socket, ofFirst, ofSecond } = await withTwo();
    socket.drop();
    await pass(1_040);
    const next = await server.welcome({ id: "a-1" });
    assert.deepEqual(asked(next), ["subscribe b"]);
    next.reply({ id: "a-1" }).note("a-2", "one", { channel: "b" });
    assert.deepEqual([ofFirst.messages, ofSecond.messages], [["one"], ["one"]]);
  });
});

describe("a handle that is left", () => {
  test("hears nothing more, and the other goes on, of which the server hears nothing", async () => {
    const { socket, first, second, ofFirst, ofSecond } = await withTwo();
    const [ended, running] = [collect(first), collect(second)];
    await settle();
    first.unsubscribe();
    socket.note("a-2", "one", { channel: "b" });
    socket.say({ control: "gap", channel: "b", id: "a-9", from: "a-2", to: "a-9", reason: "slow" });
    await settle();
    assert.deepEqual(asked(socket), ["subscribe b"]);
    assert.deepEqual([ofFirst.messages, ofFirst.told, ended], [[], [], ["end"]]);
    assert.deepEqual([ofSecond.messages, ofSecond.all("gap").length, running.length], [["one"], 1, 2]);
    socket.say({ control: "finished", channel: "b", id: "a-11" });
    await settle();
    assert.deepEqual([ofFirst.told, ofSecond.all("closed").length], [[], 1]);
  });

  test("has iterations that end at once", async () => {
    const { first } = await withTwo();
    first.unsubscribe();
    const items = collect(first);
    await settle();
    assert.deepEqual(items, ["end"]);
  });

  test("from within a handler of the other hears no more of what is told just then", async () => {
    const { socket, first, second, ofSecond } = await withTwo();
    first.on("note", () => second.unsubscribe());
    socket.note("a-2", "one", { channel: "b" });
    assert.deepEqual(ofSecond.messages, []);
    const again = await withTwo();
    again.first.on("gap", () => again.second.unsubscribe());
    again.socket.say({ control: "gap", channel: "b", id: "a-9", from: "a-1", to: "a-9", reason: "slow" });
    assert.deepEqual([again.ofFirst.all("gap").length, again.ofSecond.told], [1, []]);
  });

  test("is counted once, however often it is left", async () => {
    const { socket, first, second, ofSecond } = await withTwo();
    first.unsubscribe();
    first.unsubscribe();
    assert.deepEqual(asked(socket), ["subscribe b"]);
    socket.note("a-2", "one", { channel: "b" });
    assert.deepEqual(ofSecond.messages, ["one"]);
    second.unsubscribe();
    assert.deepEqual(asked(socket), ["subscribe b", "unsubscribe b"]);
    second.unsubscribe();
    first.unsubscribe();
    assert.equal(socket.heard.length, 2);
  });

  test("once more after the channel was joined anew leaves that alone", async () => {
    const { page, socket, first, second } = await withTwo();
    first.unsubscribe();
    second.unsubscribe();
    const again = page.live.subscribe("b");
    const { messages } = notesOf(again);
    first.unsubscribe();
    second.unsubscribe();
    for (const message of socket.heard.slice(1)) socket.reply({ id: "a-1" }, message);
    socket.note("a-2", "one", { channel: "b" });
    assert.deepEqual([asked(socket), messages], [["subscribe b", "unsubscribe b", "subscribe b"], ["one"]]);
  });

  test("last leaves the channel: its messages reach nobody", async () => {
    const { page, socket, first, second, ofFirst, ofSecond } = await withTwo();
    second.unsubscribe();
    first.unsubscribe();
    socket.note("a-2", "late", { channel: "b" });
    assert.deepEqual([asked(socket), ofFirst.messages, ofSecond.messages, page.messages], [["subscribe b", "unsubscribe b"], [], [], []]);
  });
});

describe("a channel that is joined twice on an event stream", () => {
  test("is in its query once, and opens no other stream until the last handle is left", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "sse" });
    const first = live.subscribe("b");
    const stream = await server.stream();
    assert.equal(stream.channels, "b");
    stream.welcome({ id: "a-1", channels: ["room", "b"] });
    await first.ready;
    const second = live.subscribe("b");
    const [ready, { messages }] = [fate(second.ready), notesOf(second)];
    await pass(1_000);
    first.unsubscribe();
    await pass(1_000);
    stream.event("b/note", "one", "a-2");
    await settle();
    assert.deepEqual([ready, messages, server.attempts.length], [{ value: null }, ["one"], 1]);
    second.unsubscribe();
    assert.equal((await server.later("sse")).channels, null);
  });
});
