// The transport that is remembered for the session: what worked where there was a choice.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Page, Server, client, fallenBack, settle, stopTime } from "./fakes.js";

beforeEach(() => {
  stopTime();
  new Page();
});

test("the one that worked in the place of the best is tried first by the next client", async () => {
  const { server } = await fallenBack();
  client(server);
  await settle();
  assert.deepEqual(server.order, ["ws", "sse", "sse"]);
});

test("one that a client had to take is not tried first by those who may choose", async () => {
  const server = new Server();
  client(server, { transport: "sse" });
  (await server.stream()).welcome({ id: "a-1" });
  await settle();
  client(server);
  await settle();
  assert.deepEqual(server.order, ["sse", "ws"]);
});

test("the choice of one list is none of another's", async () => {
  await fallenBack();
  const other = new Server();
  client(other, { transport: ["sse", "ws"] });
  (await other.stream()).refuse(404);
  (await other.socket()).welcome({ id: "a-1" });
  await settle();
  client(other, { transport: ["sse", "ws"] });
  client(other);
  client(other, { transport: ["ws", "sse"] });
  await settle();
  assert.deepEqual(other.order, ["sse", "ws", "ws", "sse", "sse"], "auto is a list, too");
});
