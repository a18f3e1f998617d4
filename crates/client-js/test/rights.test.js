// By what right the client comes: what the page is asked for, and when it is asked for something better.
//
// What could loop, leave a client without a right that it could have, or leave it waiting for ever:
//
// - a token that stays bad, however often it is asked for; a session that expires at once, each time
// - the function throws, rejects or never answers
// - the connection changes while a new token is fetched, or handed in
// - a new token is refused while the old one is still good

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Page, Server, client, pass, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

/** A token function that notes how it is asked. */
function tokens(answer = (count) => `t${count}`) {
  const asked = [];
  const token = ({ refresh }) => answer(asked.push(refresh));
  return { asked, token };
}

describe("a right", () => {
  test("goes in the header of an event stream, and among the subprotocols of a WebSocket", async () => {
    const server = new Server();
    client(server, { token: async () => "t1", headers: () => ({ "x-tab": "7" }), params: async () => ({ ticket: "a b" }) });
    const socket = await server.socket();
    assert.deepEqual(socket.protocols, ["dualcast.v1", "dualcast.token.t1"]);
    assert.equal(socket.url, "wss://example.com/room?ticket=a+b");
    socket.refuse();
    const stream = await server.stream();
    assert.deepEqual([...stream.headers], [["accept", "text/event-stream"], ["authorization", "Bearer t1"], ["x-tab", "7"]]);
    assert.deepEqual([stream.url, stream.cache], ["https://example.com/room?ticket=a+b", "no-store"]);
  });

  test("is none where the page has none, and a token goes before a header of the page's own", async () => {
    const server = new Server();
    client(server, { token: () => null });
    const socket = await server.socket();
    assert.deepEqual(socket.protocols, ["dualcast.v1"]);
    socket.refuse();
    assert.deepEqual([...(await server.stream()).headers], [["accept", "text/event-stream"]]);
    client(server, { transport: "sse", token: () => "t", headers: () => new Headers({ Authorization: "Basic x" }) });
    assert.equal((await server.stream()).headers.get("authorization"), "Bearer t");
  });

  test("does not change what a stream is asked for as, whatever the page's own headers say", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "sse", headers: () => ({ Accept: "application/json", "x-tab": "7" }) });
    const stream = await server.stream();
    assert.deepEqual([...stream.headers], [["accept", "text/event-stream"], ["x-tab", "7"]]);
    stream.welcome();
    await settle();
    live.send("note", 1).catch(() => {});
    assert.equal((await server.post()).headers.get("accept"), "application/json", "a POST's are the page's");
  });

  test("is asked for at each attempt", async () => {
    const { asked, token } = tokens();
    const server = new Server();
    client(server, { transport: "sse", token });
    for (let time = 0; time < 3; time++) (await server.later("sse")).refuse(500);
    await settle();
    assert.deepEqual(asked, [false, false, false]);
  });

  test("that no subprotocol can carry is a WebSocket that is refused", async () => {
    const server = new Server();
    const { implementations } = server;
    class Strict extends implementations.WebSocket {
      constructor(url, protocols) {
        if (protocols.some((protocol) => protocol.includes(" "))) throw new DOMException("bad protocol", "SyntaxError");
        super(url, protocols);
      }
    }
    client(server, { WebSocket: Strict, token: () => "a b" });
    assert.equal((await server.stream()).headers.get("authorization"), "Bearer a b");
  });
});

describe("a right that is refused with 401", () => {
  test("by the event stream in place of a WebSocket makes no loop where the next is refused, too", async () => {
    const server = new Server();
    server.refusesSockets = true;
    const asked = [];
    const { live } = client(server, { token: ({ refresh }) => `t${asked.push(refresh)}` });
    for (let time = 0; time < 2; time++) {
      (await server.stream()).refuse(401, "who?");
      await settle();
    }
    assert.deepEqual([server.order, asked], [["ws", "sse", "ws", "sse"], [false, false, true, false]]);
    assert.deepEqual([live.state.status, live.state.reason], ["closed", "unauthorized"]);
  });

  test("is asked for anew, at once, and once", async () => {
    const { asked, token } = tokens();
    const server = new Server();
    const { live, all } = client(server, { transport: "sse", token });
    (await server.stream()).refuse(401, "who?");
    const second = await server.stream();
    assert.deepEqual([second.at, second.headers.get("authorization"), asked], [Date.now(), "Bearer t2", [false, true]]);
    second.refuse(401, "who?");
    await pass(120_000);
    assert.deepEqual([server.attempts.length, live.state.status, live.state.reason, live.state.code], [2, "closed", "unauthorized", 401]);
    assert.equal(all("closed").length, 1);
  });

  test("is asked for anew also where the WebSocket comes first, whose refusal has no status", async () => {
    const { asked, token } = tokens();
    const server = new Server();
    const { live } = client(server, { token });
    (await server.socket()).refuse();
    (await server.stream()).refuse(401);
    const socket = await server.socket();
    assert.deepEqual([socket.protocols[1], asked], ["dualcast.token.t3", [false, false, true]]);
    socket.welcome();
    await settle();
    assert.equal(live.state.transport, "ws");
  });

  test("is no end where it was good in between", async () => {
    const { asked, token } = tokens();
    const server = new Server();
    client(server, { transport: "sse", token });
    for (let time = 0; time < 3; time++) {
      (await server.later("sse")).refuse(401);
      const good = await server.stream();
      good.welcome({ id: "a-1" });
      await settle();
      good.end();
    }
    await server.later("sse");
    assert.deepEqual(asked, [false, true, false, true, false, true, false]);
  });

  test("is the end where the page has no other, until it is told to begin anew", async () => {
    const server = new Server();
    const { live } = client(server, { transport: "sse" });
    (await server.stream()).refuse(401);
    await settle();
    assert.equal(live.state.status, "closed");
    live.reconnect();
    (await server.stream()).welcome();
    await settle();
    assert.equal(live.state.status, "open");
  });

  test("by a WebSocket, of which a page sees no status, is asked for anew where there is no other way to look", async () => {
    for (const fail of [async (socket) => socket.refuse(), async () => pass(10_020)]) {
      const { asked, token } = tokens();
      const server = new Server();
      const { live } = client(server, { transport: "ws", token });
      for (let time = 0; time < 3; time++) await fail(await server.later("ws"));
      const socket = await server.later("ws");
      assert.deepEqual([asked, socket.protocols[1]], [[false, true, true, true], "dualcast.token.t4"]);
      socket.welcome({ id: "a-1" });
      await settle();
      socket.drop();
      await server.later("ws");
      assert.deepEqual([asked, live.state.status], [[false, true, true, true, false], "connecting"], "it had opened");
    }
  });

  test("by a WebSocket is not asked for anew where the event stream can tell", async () => {
    const { asked, token } = tokens();
    const server = new Server();
    server.refusesSockets = true;
    client(server, { token });
    for (let time = 0; time < 2; time++) (await server.later("sse")).refuse(503);
    await server.later("sse");
    assert.deepEqual([server.order, asked], [["ws", "sse", "ws", "sse", "ws", "sse"], [false, false, false, false, false, false]]);
  });

  test("may be a header's or a ticket's, too", async () => {
    for (const name of ["headers", "params"]) {
      const server = new Server();
      let count = 0;
      client(server, { transport: "sse", [name]: () => ({ ticket: `${++count}` }) });
      (await server.stream()).refuse(401);
      const second = await server.stream();
      assert.equal(second.headers.get("ticket") ?? new URL(second.url).searchParams.get("ticket"), "2");
    }
  });
});

describe("a function of the page", () => {
  for (const [what, answer] of [
    ["throws", () => { throw new Error("no login"); }],
    ["rejects", () => Promise.reject(new Error("no login"))],
  ]) {
    test(`that ${what} is reported, and asked again after pauses that grow`, async () => {
      const { asked, token } = tokens(answer);
      const { live, all } = client(new Server(), { token });
      await settle();
      assert.deepEqual([live.state.status, live.state.reason], ["waiting", "lost"]);
      assert.deepEqual(all("error").map(({ message }) => message), ["no login"]);
      await pass(1_000 + 2_000 + 4_000 + 500);
      assert.equal(asked.length, 4);
    });
  }

  test("that never answers is asked again, and what it answers late is not taken", async () => {
    const answers = [];
    const { asked, token } = tokens(() => new Promise((resolve) => answers.push(resolve)));
    const server = new Server();
    const { live } = client(server, { transport: "ws", token });
    await pass(10_020);
    assert.deepEqual([live.state.status, live.state.reason], ["waiting", "silent"]);
    await pass(1_020);
    answers[0]("late");
    await settle();
    assert.deepEqual([asked.length, server.attempts.length], [2, 0]);
    answers[1]("t");
    assert.equal((await server.socket()).protocols[1], "dualcast.token.t");
  });
});

describe("a session that expires", () => {
  test("on a WebSocket is handed a new token at four fifths, again and again", async () => {
    const { asked, token } = tokens();
    const server = new Server();
    client(server, { transport: "ws", token });
    const socket = await server.welcome({ id: "a-1", expires: 20_000, interval: 60_000 });
    await pass(15_900);
    assert.equal(socket.heard.length, 0);
    await pass(200);
    assert.deepEqual(socket.heard, [{ control: "token", token: "t2", ref: 1 }]);
    socket.reply({ expires: 10_000 });
    await pass(8_100);
    assert.deepEqual(socket.heard[1], { control: "token", token: "t3", ref: 2 });
    socket.reply();
    await pass(60_000);
    assert.deepEqual([socket.heard.length, server.attempts.length, asked], [2, 1, [false, true, true]]);
  });

  test("is opened anew where the server takes no token on the live connection, or the right is no token", async () => {
    for (const options of [{ token: () => "t" }, { params: () => ({ ticket: "1" }) }]) {
      const server = new Server();
      client(server, { transport: "ws", ...options });
      const socket = await server.welcome({ id: "a-1", expires: 10_000 });
      await pass(8_100);
      if (options.token) socket.error("no-token");
      const next = await server.later("ws");
      assert.equal(next.cursor, "a-1");
      next.welcome({ id: "a-1" });
      await settle();
      assert.deepEqual([socket.isGone, server.open], [true, 1]);
    }
  });

  test("is asked for a new token again where there was none, before its time is over: at four fifths of what is left, but not within a second", async () => {
    const times = [];
    const token = () => {
      times.push(Date.now());
      if (times.length === 1) return "t";
      // One is async, one is not.
      if (times.length % 2) throw new Error("no login");
      return Promise.reject(new Error("no login"));
    };
    const server = new Server();
    const { live, states } = client(server, { transport: "ws", token });
    const socket = await server.welcome({ id: "a-1", expires: 100_000, interval: 600_000 });
    const start = Date.now();
    for (let seconds = 0; seconds < 102; seconds++) await pass(1_000);
    // 80, 96, 99.2, and then not within a second.
    const seconds = times.slice(1, 5).map((at) => Math.floor((at - start) / 100) / 10);
    assert.deepEqual(seconds, [80, 96, 99.2, 100.2]);
    assert.deepEqual([socket.heard, states, live.state.status], [[], ["open"], "open"]);
  });

  test("has the token handed in that there was at last, and then its time is a new one", async () => {
    let count = 0;
    const asked = [];
    const token = ({ refresh }) => {
      asked.push(refresh);
      if (++count === 2 || count === 3) throw new Error("no login");
      return `t${count}`;
    };
    const server = new Server();
    const { all } = client(server, { transport: "ws", token });
    const socket = await server.welcome({ id: "a-1", expires: 20_000, interval: 600_000 });
    await pass(16_000 + 3_200 + 1_000 + 100);
    assert.deepEqual([socket.heard, asked], [[{ control: "token", token: "t4", ref: 1 }], [false, true, true, true]]);
    assert.deepEqual(all("error").map(({ message }) => message), ["no login", "no login"]);
    socket.reply({ expires: 20_000 });
    await pass(15_900);
    assert.equal(asked.length, 4);
    await pass(200);
    assert.deepEqual(socket.heard[1], { control: "token", token: "t5", ref: 2 });
  });

  test("lives on where the new token is refused, and comes back with another when it is over", async () => {
    const { asked, token } = tokens(() => "t");
    const server = new Server();
    const { live } = client(server, { transport: "ws", token });
    const socket = await server.welcome({ id: "a-1", expires: 10_000 });
    await pass(8_100);
    socket.error("unauthorized");
    await pass(1_800);
    assert.equal(live.state.status, "open");
    socket.closing("expired", true);
    await pass(1_040);
    assert.equal(server.attempts.length, 2);
    assert.ok(asked.length >= 3 && asked.slice(1).every((refresh) => refresh), `${asked}`);
  });

  test("has the new token handed in on the connection that there is when it comes, or not at all", async () => {
    let give;
    const { token } = tokens((count) => (count === 2 ? new Promise((resolve) => (give = resolve)) : `t${count}`));
    const server = new Server();
    client(server, { transport: "ws", token });
    const socket = await server.welcome({ id: "a-1", expires: 10_000 });
    await pass(8_100);
    socket.drop();
    await pass(1_040);
    const next = await server.welcome({ id: "a-1" });
    give("late");
    await settle();
    assert.deepEqual([socket.heard, next.heard], [[], []]);
  });

  test("at once, each time, is tried with pauses that grow", async () => {
    const { token } = tokens();
    const server = new Server();
    client(server, { transport: "ws", token });
    for (let time = 0; time < 6; time++) (await server.later("ws")).welcome({ id: "a-1", expires: 0 }).closing("expired", true);
    assert.deepEqual(server.pauses.map((pause) => Math.round(pause / 1_000)), [1, 2, 4, 8, 16]);
  });

  test("is of no concern to a page that has nothing to say", async () => {
    const server = new Server();
    client(server, { transport: "ws" });
    await server.welcome({ id: "a-1", expires: 10_000, interval: 60_000 });
    await pass(60_000);
    assert.equal(server.attempts.length, 1);
  });

  test("is not looked after any more when the client is closed or put away", async () => {
    const { asked, token } = tokens();
    const page = new Page();
    const server = new Server();
    const { live } = client(server, { transport: "ws", token });
    await server.welcome({ id: "a-1", expires: 10_000 });
    page.putAway();
    await pass(60_000);
    page.bringBack();
    await server.welcome({ id: "a-1", expires: 10_000 });
    live.close();
    await pass(60_000);
    assert.deepEqual([asked.length, server.attempts.length], [2, 2]);
  });
});
