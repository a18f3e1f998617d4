// What a page goes through: hidden and seen, offline and online, put away and brought back, reloaded.
//
// What could leave a connection open that nobody wants, make attempts without a pause, or lose the cursor:
//
// - a page is seen, or comes online, a hundred times a second
// - it is put away while it connects, and brought back before or after that is known; or the page connects anew meanwhile
// - it is hidden when a pause ends, or comes online while it is hidden
// - it is never seen again: what is to be kept has to be kept when it is hidden

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Page, Server, client, pass, settle, stopTime } from "./fakes.js";

beforeEach(() => stopTime());

/** A client whose connection has just been lost. */
async function waiting(options = {}) {
  const page = new Page();
  const server = new Server();
  const notes = client(server, { transport: "ws", ...options });
  const socket = await server.welcome({ id: "a-1" });
  await pass(2_000);
  return { page, server, socket, ...notes };
}

describe("a page that is hidden", () => {
  test("keeps its connection, and makes no attempt once that is lost, but at once when it is seen", async () => {
    const { page, server, socket, live } = await waiting();
    page.hide();
    await pass(1_000);
    assert.equal(live.state.status, "open");
    socket.drop();
    await pass(600_000);
    assert.deepEqual([server.attempts.length, live.state.status], [1, "away"]);
    page.show();
    await pass(20);
    assert.equal(server.attempts.length, 2);
    assert.equal((await server.socket()).cursor, "a-1");
  });

  test("while it waits makes no attempt when the pause ends", async () => {
    const { page, server, socket, live } = await waiting();
    socket.drop();
    await settle();
    assert.equal(live.state.status, "waiting");
    page.hide();
    await pass(60_000);
    assert.deepEqual([server.attempts.length, live.state.status, live.state.reason], [1, "away", "lost"]);
  });

  test("has no time for its next attempt, since that is when it is seen", async () => {
    for (const isHiddenFirst of [true, false]) {
      const { page, socket, live } = await waiting();
      if (isHiddenFirst) page.hide();
      socket.drop();
      await settle();
      if (!isHiddenFirst) {
        assert.ok(live.state.retryAt > Date.now());
        page.hide();
      }
      await pass(60_000);
      assert.deepEqual([live.state.status, live.state.retryAt, live.state.reason], ["away", undefined, "lost"]);
    }
  });

  test("says no time at any change while it is away", async () => {
    const { page, socket, live } = await waiting();
    const told = [];
    live.on("state", ({ status, retryAt }) => told.push([status, retryAt !== undefined]));
    page.hide();
    socket.drop();
    await pass(60_000);
    page.show();
    await pass(20);
    assert.ok(told.length >= 2);
    assert.deepEqual(told.filter(([, hasTime]) => hasTime), []);
    assert.equal(told.at(-1)[0], "connecting");
  });

  test("makes no attempt when it comes online, either", async () => {
    const { page, server, socket } = await waiting();
    page.hide();
    socket.drop();
    await settle();
    page.goOffline();
    page.goOnline();
    page.connectBy("cellular");
    await pass(60_000);
    assert.equal(server.attempts.length, 1);
    page.show();
    await pass(20);
    assert.equal(server.attempts.length, 2);
  });
});

describe("a page that is offline", () => {
  test("is tried after the longest pause only, and at once when it is online", async () => {
    const { page, server, socket, live } = await waiting();
    page.goOffline();
    socket.drop();
    await pass(29_900);
    assert.deepEqual([server.attempts.length, live.state.status], [1, "away"]);
    await pass(200);
    assert.equal(server.attempts.length, 2, "the browser may be wrong");
    (await server.socket()).refuse();
    await pass(1_000);
    page.goOnline();
    await pass(20);
    assert.equal(server.attempts.length, 3);
  });

  test("that comes online has its connection made anew, though it looked open", async () => {
    const { page, server, socket } = await waiting();
    page.goOnline();
    await pass(20);
    assert.ok(socket.isGone);
    assert.equal((await server.socket()).cursor, "a-1");
  });

  test("goes by another network with the best transport, but not where that is only guessed anew", async () => {
    const page = new Page();
    const server = new Server();
    server.refusesSockets = true;
    const { live } = client(server);
    (await server.stream()).welcome({ id: "a-1" });
    await pass(2_000);
    server.refusesSockets = false;
    page.connectBy("wifi");
    await pass(2_000);
    assert.equal(server.attempts.length, 2);
    page.connectBy("cellular");
    await pass(20);
    assert.deepEqual(server.order, ["ws", "sse", "ws"]);
    (await server.later("ws").catch(() => server.attempts.at(-1)));
    server.attempts.at(-1).welcome({ id: "a-1" });
    await settle();
    assert.equal(live.state.transport, "ws");
  });
});

describe("a page that is woken a hundred times a second", () => {
  for (const [what, wake] of [
    ["hidden and seen", (page) => (page.hide(), page.show())],
    ["offline and online", (page) => (page.goOffline(), page.goOnline())],
  ]) {
    test(`makes at most one attempt a second: ${what}`, async () => {
      for (const works of [true, false]) {
        const page = new Page();
        const server = new Server();
        client(server, { transport: "ws" });
        for (let time = 0; time < 500; time++) {
          wake(page);
          await pass(10);
          const last = server.attempts.at(-1);
          if (last.readyState !== 0) continue;
          if (works) last.welcome({ id: "a-1" });
          else last.refuse();
        }
        for (const pause of server.pauses) assert.ok(pause >= 1_000, `${pause} ms, ${works}`);
        assert.ok(works || server.attempts.length >= 4);
        assert.ok(server.open <= 1);
      }
    });
  }
});

describe("a page that is put away", () => {
  test("closes its connection, and comes back with its cursor", async () => {
    const { page, server, socket, live } = await waiting();
    socket.note("a-2");
    page.putAway();
    assert.deepEqual([socket.isGone, live.state.status], [true, "away"]);
    await pass(600_000);
    page.hide();
    page.show();
    page.goOnline();
    await pass(60_000);
    assert.equal(server.attempts.length, 1);
    page.bringBack();
    await settle();
    assert.equal((await server.socket()).cursor, "a-2");
  });

  test("while it connects, or waits, or asks for a token, leaves nothing open", async () => {
    for (const when of ["asking", "connecting", "waiting"]) {
      const page = new Page();
      const server = new Server();
      let give;
      const token = () => (when === "asking" ? new Promise((resolve) => (give = resolve)) : "t");
      client(server, { transport: "ws", token });
      await settle();
      if (when === "waiting") (await server.socket()).refuse();
      await settle();
      page.putAway();
      give?.("t");
      await pass(60_000);
      assert.equal(server.open, 0, when);
      const before = server.attempts.length;
      page.bringBack();
      await settle();
      give?.("t");
      await settle();
      assert.deepEqual([server.attempts.length, server.open], [before + 1, 1], when);
    }
  });

  test("has one connection when it is back, though it was told to connect anew meanwhile", async () => {
    const { page, server, live } = await waiting();
    page.putAway();
    live.reconnect();
    (await server.socket()).welcome({ id: "a-1" });
    await settle();
    page.bringBack();
    await settle();
    assert.equal(server.open, 1);
    server.attempts.at(-1).welcome({ id: "a-1" });
    await settle();
    assert.equal(live.state.status, "open");
  });

  test("stays away after it was closed, and is woken as ever after it began anew", async () => {
    const { page, server, live } = await waiting();
    page.putAway();
    live.close();
    page.bringBack();
    page.goOnline();
    await pass(60_000);
    assert.deepEqual([server.attempts.length, live.state.status], [1, "closed"]);
    live.reconnect();
    const socket = (await server.socket()).welcome({ id: "a-1" });
    await pass(2_000);
    page.hide();
    socket.drop();
    await pass(60_000);
    page.show();
    await pass(20);
    assert.equal(server.attempts.length, 3);
  });

  test("and never was before is only shown, which says nothing", async () => {
    const { page, server } = await waiting();
    page.bringBack();
    await pass(2_000);
    assert.equal(server.attempts.length, 1);
  });
});

describe("a page that is loaded again", () => {
  test("goes on where it was, each channel too, if it wants that", async () => {
    const { page, server, socket, live } = await waiting({ persist: true });
    const channel = live.subscribe("b", { position: "a-7" });
    socket.reply({ id: "a-7" }).note("a-2").note("a-8", "b", { channel: "b" });
    page.hide();
    socket.note("a-3");
    page.putAway();
    assert.equal(channel.cursor, "a-8");
    const later = client(server, { transport: "ws", persist: true });
    later.live.subscribe("b");
    const next = await server.socket();
    assert.equal(next.cursor, "a-3");
    next.welcome({ id: "a-3" });
    assert.equal(next.heard[0].id, "a-8");
    const other = client(server, { transport: "ws", persist: "left pane" });
    await settle();
    assert.equal((await server.socket()).cursor, null);
    other.live.close();
  });

  test("begins at the position that it names, and anew where nothing was kept or what was makes no sense", async () => {
    const page = new Page();
    const server = new Server();
    client(server, { transport: "ws", persist: true, position: "a-9" });
    assert.equal((await server.socket()).cursor, "a-9");
    page.putAway();
    for (const key of page.storage.keys()) page.storage.set(key, "{nonsense");
    client(server, { transport: "ws", persist: true });
    assert.equal((await server.socket()).cursor, null);
  });

  test("keeps nothing that it was not asked to keep", async () => {
    const { page } = await waiting();
    page.hide();
    page.putAway();
    assert.deepEqual([...page.storage.keys()], []);
  });
});
