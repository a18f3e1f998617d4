// One connection: what opens it, what ends it, and what the client makes of the ending.
//
// What could go wrong:
//
// - it ends before the client has taken note of it: then nobody comes back, and the client connects for ever
// - it is opened, and closed by the page meanwhile: then it lives on, unheard

import assert from "node:assert/strict";
import { beforeEach, describe, mock, test } from "node:test";
import { Server, client, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

describe("a WebSocket", () => {
  test("that can't be made gives way to the event stream", async () => {
    const server = new Server();
    const { states } = client(server, { WebSocket: undefined });
    (await server.stream()).welcome({ id: "a-1" });
    await settle();
    assert.deepEqual(states, ["connecting", "open"]);
  });
});

describe("a server without heartbeats", () => {
  test("is not looked at all the time, as a timer that is too long would have it", async () => {
    const server = new Server();
    client(server);
    await settle();
    const timers = mock.method(globalThis, "setTimeout");
    // A year: never.
    await server.welcome({ id: "a-1", interval: 365 * 24 * 60 * 60 * 1_000 });
    await settle();
    const delays = timers.mock.calls.map(({ arguments: [, delay] }) => delay);
    timers.mock.restore();
    assert.ok(delays.length > 0);
    assert.ok(delays.every((delay) => delay < 2 ** 31), `${delays}`);
  });
});

describe("a connection", () => {
  test("is not left open where the page closes the client while it says by what right it comes", async () => {
    const server = new Server();
    const { live } = client(server, { token: async () => "t" });
    // A microtask before and after each of the client's own.
    for (let turn = 0; turn < 20; turn++) {
      const again = client(server, { token: async () => "t" }).live;
      for (let wait = 0; wait < turn; wait++) await undefined;
      again.close();
    }
    live.close();
    await settle();
    assert.equal(server.open, 0);
  });
});
