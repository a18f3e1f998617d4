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
  const page = client(server, options);
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
