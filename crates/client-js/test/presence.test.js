// Who is present: what a page knows of it, and what it does when it can't know.
//
// What could make a page believe what is not so:
//
// - a change for a version that it does not have; or none, but a heartbeat with another version than it was told
// - the whole comes again, on the same connection or the next, and leaves somebody behind who has gone
// - a change of another channel; or of the channel that it follows by itself, before it was told the whole

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { createPresence } from "../js/dualcast/presence.js";
import { client, onSocket, onStream, pass, Server, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

const ada = { id: "a", data: { name: "Ada" } };
const bob = { id: "b" };
const cy = { id: "c", data: 3 };

const whole = (version, members, more = {}) => ({ channel: "room", version, count: members.length, members, ...more });
const change = (version, more) => ({ channel: "room", version, since: version - 1, count: 1, ...more });
const known = ({ members, count }) => [count, Object.fromEntries(members)];

/** Both transports say the same: `{ say, ...page }`, where `say` says a notice about who is present. */
const transports = {
  async ws() {
    const { socket, ...page } = await onSocket();
    const say = (notice) => socket.say({ control: "presence", ...notice });
    return { ...page, say, beat: (presence) => socket.say({ control: "heartbeat", id: "a-1", presence }) };
  },
  async sse() {
    const { stream, ...page } = await onStream();
    const say = (notice) => stream.notice("presence", notice);
    return { ...page, say, beat: (presence) => stream.notice("heartbeat", { interval: 15_000, presence }, "a-1") };
  },
};

for (const [name, open] of Object.entries(transports)) {
  describe(`presence over ${name}`, () => {
    test("is the whole, and each change of it", async () => {
      const { live, say, all } = await open();
      const presence = createPresence(live);
      const changes = [];
      presence.on(() => changes.push(presence.count));
      say(whole(4, [ada, bob]));
      await settle();
      assert.deepEqual(known(presence), [2, { a: { name: "Ada" }, b: undefined }]);
      say(change(5, { count: 2, joined: [cy], left: ["b"] }));
      say(change(6, { count: 1, joined: [{ id: "a", data: 1 }], left: ["c"] }));
      await settle();
      assert.deepEqual(known(presence), [1, { a: 1 }]);
      assert.deepEqual([changes, all("unknown")], [[2, 2, 1], []]);
    });

    test("is replaced by a whole, on the same connection", async () => {
      const { live, say } = await open();
      const presence = createPresence(live);
      say(whole(4, [ada, bob]));
      say(whole(40, [cy], { count: 500 }));
      await settle();
      assert.deepEqual(known(presence), [500, { c: 3 }]);
    });

    test("is no message, and moves no cursor", async () => {
      const { live, say, messages } = await open();
      say(whole(4, [ada]));
      await settle();
      assert.deepEqual([messages, live.cursor], [[], "a-1"]);
    });

    test("asks for the whole, once, where a change is missing or a heartbeat knows of one", async () => {
      for (const lapse of [({ say }) => say(change(6, { left: ["a"] })), ({ beat }) => beat({ room: 5 })]) {
        const page = await open();
        const presence = createPresence(page.live);
        page.say(whole(4, [ada]));
        page.beat({ room: 4 });
        await settle();
        assert.equal(page.live.state.status, "open");
        page.states.length = 0;
        lapse(page);
        page.say(change(7, { joined: [bob] }));
        page.beat({ room: 7 });
        await settle();
        assert.deepEqual(page.states, ["connecting"]);
        assert.deepEqual(known(presence), [1, { a: { name: "Ada" } }], "until then what was known last");
      }
    });
  });
}

describe("presence", () => {
  test("goes on with the whole after a reconnect, with whatever version", async () => {
    const { live, server, socket } = await onSocket();
    const presence = createPresence(live);
    socket.say({ control: "presence", ...whole(40, [ada, bob]) });
    socket.drop();
    await pass(5_000);
    const next = await server.welcome({ id: "a-1" });
    assert.deepEqual(known(presence), [2, { a: { name: "Ada" }, b: undefined }], "nobody has gone for that");
    next.say({ control: "presence", ...whole(1, [bob]) }, { control: "presence", ...change(2, { count: 2, joined: [cy] }) });
    assert.deepEqual(known(presence), [2, { b: undefined, c: 3 }]);
    assert.equal(live.state.status, "open");
  });

  test("that begins when the whole was told already asks for it, by a change or by a heartbeat", async () => {
    for (const frame of [{ control: "presence", ...change(5, { joined: [bob] }) }, { control: "heartbeat", id: "a-1", presence: { room: 4 } }]) {
      const { live, server, socket } = await onSocket();
      socket.say({ control: "presence", ...whole(4, [ada]) });
      const presence = createPresence(live);
      socket.say(frame, frame);
      const next = await server.welcome({ id: "a-1" });
      next.say({ control: "presence", ...whole(1, [ada, bob]) }, { control: "heartbeat", id: "a-1", presence: { room: 1 } });
      assert.deepEqual([known(presence)[0], live.state.status], [2, "open"]);
    }
  });

  test("of a channel with whatever name is that of no other", async () => {
    const { live, socket } = await onSocket();
    createPresence(live, { channel: "constructor" });
    socket.say({ control: "heartbeat", id: "a-1", presence: { room: 1 } });
    assert.equal(live.state.status, "open");
  });

  test("is of the channel that is named, or else of the first that is told", async () => {
    const { live, socket } = await onSocket();
    const [first, named] = [createPresence(live), createPresence(live, { channel: "hall" })];
    socket.say({ control: "presence", ...whole(1, [ada]) }, { control: "presence", ...whole(9, [bob], { channel: "hall" }) });
    socket.say({ control: "heartbeat", id: "a-1", presence: { room: 1, hall: 9, other: 3 } });
    assert.deepEqual([[...first.members.keys()], [...named.members.keys()]], [["a"], ["b"]]);
    assert.equal(live.state.status, "open");
  });

  test("of a joined channel is heard on the client, and on the channel", async () => {
    const { live, socket } = await onSocket();
    const hall = live.subscribe("hall");
    const presence = createPresence(live, { channel: "hall" });
    const heard = [];
    hall.on("dualcast:presence", ({ count }) => heard.push(count));
    socket.reply({ id: "a-1" });
    await settle();
    socket.say({ control: "presence", ...whole(1, [ada], { channel: "hall" }) });
    assert.deepEqual([presence.count, heard], [1, [1]]);
  });

  test("that is stopped hears nothing more, and a handler that throws stops nothing", async (context) => {
    const error = context.mock.method(console, "error", () => {});
    const { live, socket } = await onSocket();
    const presence = createPresence(live);
    const off = presence.on(() => {
      throw new Error("of the page");
    });
    let changes = 0;
    presence.on(() => changes++);
    socket.say({ control: "presence", ...whole(1, [ada]) });
    off();
    socket.say({ control: "presence", ...whole(2, [bob]) });
    presence.stop();
    socket.say({ control: "presence", ...whole(3, [cy]) });
    assert.deepEqual([changes, [...presence.members.keys()], error.mock.callCount()], [2, ["b"], 1]);
  });

  test("an event of the application with the name is another thing", async () => {
    const { live, socket } = await onSocket();
    const heard = [];
    live.on("presence", (data) => heard.push(data));
    socket.say({ control: "presence", ...whole(1, [ada]) }, { event: "presence", data: "of the application" });
    assert.deepEqual(heard, ["of the application"]);
  });

  test("is heard by the browser's own EventSource, too", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "eventsource" });
    const presence = createPresence(live);
    const source = await server.source();
    source.notice("heartbeat", { channels: ["room", "hall"] }, "a-1").notice("presence", whole(1, [ada]));
    assert.deepEqual(known(presence), [1, { a: { name: "Ada" } }]);
  });
});
