// Channels that a page joins on its connection, and leaves again: on a WebSocket as messages on the live connection, on an event
// stream by opening it anew. Each has a cursor of its own, and nothing is missed or told twice of any.

import assert from "node:assert/strict";
import { openLivePage } from "./live.mjs";
import { inEachBrowser } from "./scene.mjs";
import { startFixture } from "./server.mjs";

/** `news` is the route's own. */
const live = "/live?joins=true&channels=news";
const eager = { minDelay: 100, maxDelay: 300 };
/** Where a WebSocket opens and says nothing: it is soon given up, but not one that is slow on a busy machine. */
const impatient = { ...eager, connectTimeout: 4_000 };

inEachBrowser((test) => {
  for (const transport of ["ws", "sse"]) {
    const options = { transport, ...eager };

    test(`hears a channel from when it joined it until it left it on ${transport}`, async ({ fixture, page }) => {
      const client = await page.connect(live, options);
      await client.opened();
      await fixture.publish("room.1", "too early");
      // An event stream is opened anew from where it stands, which is behind that.
      await fixture.publish("news", "own");
      await client.messages(1);
      const room = await client.subscribe("room.1");
      await room.told("ready");
      await fixture.publish("room.1", "1");
      await fixture.publish("room.1", "2");
      assert.deepEqual(await room.story(2), ["1", "2"]);
      assert.equal(await room.cursor(), (await room.messages(2))[1].id);

      await room.unsubscribe();
      await fixture.publish("room.1", "too late");
      await fixture.publish("news", "own too");
      assert.deepEqual(await client.data(2), ["own", "own too"]);
      assert.deepEqual(await room.story(), ["1", "2"]);
      // Joined again, it begins anew.
      const again = await client.subscribe("room.1");
      await again.told("ready", { count: 2 });
      await fixture.publish("room.1", "3");
      assert.deepEqual(await again.data(3), ["1", "2", "3"]);
      const { length } = await fixture.requests("/live");
      // An event stream is opened anew, but once for what changes at a time.
      assert.ok(transport === "ws" ? length === 1 : length === 3 || length === 4, `${length} requests`);
    });

    test(`misses nothing of others when it joins and leaves channels on ${transport}`, async ({ fixture, page }) => {
      const client = await page.connect(live, options);
      await client.opened();
      const names = ["room.1", "room.2", "room.3"];
      const publishers = ["news", ...names].map((name) => fixture.keepPublishing(name));
      await client.messages(10);
      // Several at once, and one while the others are on their way.
      const first = await Promise.all(names.slice(0, 2).map((name) => client.subscribe(name)));
      const last = await client.subscribe(names[2]);
      const rooms = [...first, last];
      for (const room of rooms) {
        await room.told("ready");
        await room.messages(10);
      }
      await rooms[0].unsubscribe();
      const { length } = await rooms[1].messages(0);
      await rooms[1].messages(length + 10);
      const [news, , ...others] = await Promise.all(publishers.map((publisher) => publisher.stop()));
      const own = await client.messages(news.length);
      assert.deepEqual(own.map(({ id }) => id), news);
      for (const [index, ids] of others.entries()) {
        const room = rooms[index + 1];
        // From when it was joined to the last one.
        const [{ id }] = await room.messages(1);
        const from = ids.indexOf(id);
        assert.notEqual(from, -1);
        const messages = await room.messages(ids.length - from);
        assert.deepEqual(messages.map(({ id }) => id), ids.slice(from));
      }
      const left = (await rooms[0].messages(10)).map(({ data }) => Number(data));
      assert.deepEqual(left, left.map((_, index) => left[0] + index));
    });

    test(`has all of each channel again after a cut on ${transport}`, async ({ fixture, network, page }) => {
      const client = await page.connect(live, options);
      await client.opened();
      const room = await client.subscribe("room.1");
      await room.told("ready");
      await fixture.publish("news", "n1");
      await fixture.publishAll("room.1", ["r1", "r2"]);
      await client.messages(1);
      await room.messages(2);

      network.refuse();
      await client.told("state", { status: "waiting", reason: "lost" });
      await fixture.publish("room.1", "r3");
      await fixture.publish("news", "n2");
      await fixture.publish("room.1", "r4");
      // It waits for the connection, too.
      const late = await client.subscribe("room.2");
      network.heal();
      // Only of this: an event stream that is opened beside another interrupts nothing.
      const recovered = await client.told("recovered");
      assert.deepEqual(recovered, { kind: "recovered", count: 3, transport });
      await late.told("ready");
      await fixture.publish("room.1", "r5");
      await fixture.publish("room.2", "l1");
      assert.deepEqual(await room.story(5), ["r1", "r2", "r3", "r4", "r5"]);
      assert.deepEqual(await client.data(2), ["n1", "n2"]);
      assert.deepEqual(await late.story(1), ["l1"]);
    });

    test(`is told of a channel that it may not join on ${transport}, and hears the others`, async (scene) => {
      const { fixture, page } = scene;
      const client = await page.connect(live, options);
      await client.opened();
      const refused = await client.subscribe("private.1");
      const code = transport === "ws" ? "forbidden" : "no-subscribe";
      assert.equal((await refused.told("refused")).code, code);
      assert.equal((await refused.told("closed")).code, code);
      const room = await client.subscribe("room.1");
      await room.told("ready");
      await fixture.publish("private.1", "secret");
      await fixture.publish("room.1", "heard");
      assert.deepEqual(await room.story(1), ["heard"]);
      assert.deepEqual(await refused.story(), []);
    });

    test(`is told that the right to a channel was taken back on ${transport}, and hears the others`, async (scene) => {
      const { fixture, page } = scene;
      const client = await page.connect(live, options);
      await client.opened();
      const [room, other] = [await client.subscribe("room.1"), await client.subscribe("room.2")];
      await room.told("ready");
      await other.told("ready");
      await fixture.publish("room.1", "1");
      await room.messages(1);
      await fixture.revoke("room.1");
      // An event stream ends, and its route lets the client follow the others.
      assert.equal((await room.told("closed")).code, transport === "ws" ? "revoked" : "no-subscribe");
      await fixture.publish("room.1", "2");
      await fixture.publish("room.2", "3");
      await fixture.publish("news", "4");
      assert.deepEqual(await other.story(1), ["3"]);
      assert.deepEqual(await client.data(1), ["4"]);
      assert.deepEqual(await room.story(), ["1"]);
      assert.equal((await client.state()).status, "open");
    });

    test(`is told that a channel is finished on ${transport}, and hears the others`, async ({ fixture, network, page }) => {
      const client = await page.connect(live, options);
      await client.opened();
      const [room, other] = [await client.subscribe("room.1"), await client.subscribe("room.2")];
      await room.told("ready");
      await other.told("ready");
      await fixture.publish("room.1", "last");
      await fixture.finish("room.1");
      const closed = await room.told("closed");
      assert.equal(closed.code, undefined);
      assert.deepEqual(await room.story(), ["last", { finished: "room.1" }]);
      network.cut();
      await client.opened({ count: 2 });
      await fixture.publish("room.2", "after");
      await fixture.publish("news", "own");
      assert.deepEqual(await other.story(1), ["after"]);
      assert.deepEqual(await client.data(1), ["own"]);
      // Once, whatever the connections say.
      const finished = (await client.heard()).filter(({ kind }) => kind === "finished");
      assert.deepEqual(finished.map(({ channel }) => channel), ["room.1"]);
    });

    test(`is told once for each channel of another life of the log on ${transport}`, async (scene) => {
      const client = await scene.page.connect(live, options);
      await client.opened();
      const room = await client.subscribe("room.1");
      await room.told("ready");
      await scene.fixture.publish("news", "n1");
      await scene.fixture.publish("room.1", "r1");
      await room.messages(1);
      await client.messages(1);
      const { port } = scene.fixture;
      await scene.fixture.stop();
      scene.fixture = await startFixture({ port });
      await client.told("gap", { channel: "news" });
      await room.told("gap", { channel: "room.1" });
      await scene.fixture.publish("news", "n2");
      await scene.fixture.publish("room.1", "r2");
      assert.deepEqual(await room.story(3), ["r1", { gap: "epoch" }, "r2"]);
      await client.messages(2);
      const gaps = (await client.heard()).filter(({ kind }) => kind === "gap");
      assert.deepEqual(gaps.map(({ channel, reason }) => `${channel} ${reason}`).sort(), ["news epoch", "room.1 epoch"]);
    });

    test(`goes on in each channel where the page was before it was loaded anew on ${transport}`, async (scene) => {
      const { fixture, page } = scene;
      const persisting = { ...options, persist: true };
      const first = await page.connect(live, persisting);
      await first.opened();
      const room = await first.subscribe("room.1");
      await room.told("ready");
      await fixture.publish("news", "n1");
      await fixture.publish("room.1", "r1");
      await room.messages(1);
      await first.messages(1);
      const publishers = [fixture.keepPublishing("news"), fixture.keepPublishing("room.1")];
      await room.messages(5);
      const [told] = await page.reload();
      const second = await page.connect(live, persisting);
      const joined = await second.subscribe("room.1");
      await joined.told("ready");
      const ids = await Promise.all(publishers.map((publisher) => publisher.stop()));
      for (const [index, [at, client]] of [[null, second], ["room.1", joined]].entries()) {
        const before = told.filter((told) => told.kind === "message" && told.at === at);
        const after = await client.messages(1 + ids[index].length - before.length);
        assert.deepEqual([...before, ...after].slice(1).map(({ id }) => id), ids[index]);
      }
    });
  }

  test("moves to an event stream in the midst of what a channel had missed, and misses nothing", async (scene) => {
    const { fixture, network, page } = scene;
    const texts = ["r1", "r2", "r3", "r4", "r5"].map((text) => text.padEnd(100_000, "."));
    const position = await fixture.publish("room.1", "before");
    await fixture.publishAll("room.1", texts);
    // So that none is left by which the page came: the client might come back by one, and be cut once more.
    network.cut();
    const client = await page.connect(live, impatient);
    await client.opened({ transport: "ws" });
    const own = await fixture.publish("news", "n1");
    await client.messages(1);

    network.stallUpgrades();
    network.cutAfter(250_000);
    const room = await client.subscribe("room.1", { position });
    await client.told("recovered", { transport: "sse" });
    const [{ query }] = (await fixture.requests("/live")).slice(-1);
    assert.doesNotMatch(query, new RegExp(`last-event-id=${own}(&|$)`), "the room stood behind that");
    await fixture.publish("room.1", "r6");
    const brief = (text) => text.slice(0, 2);
    assert.deepEqual((await room.data(6)).map(brief), [...texts, "r6"].map(brief));
    await fixture.publish("news", "n2");
    assert.deepEqual(await client.data(2), ["n1", "n2"]);
    network.cut();
  });

  test("moves from WebSocket to event stream and back with two cursors, and tells nothing twice", async (scene) => {
    const { fixture, network, page } = scene;
    const client = await page.connect(live, impatient);
    await client.opened({ transport: "ws" });
    const room = await client.subscribe("room.1");
    await room.told("ready");
    const own = await fixture.publish("news", "n1");
    await fixture.publishAll("room.1", ["r1", "r2", "r3"]);
    await client.messages(1);
    await room.messages(3);
    assert.equal(await client.cursor(), own, "behind that of the room");

    network.refuse();
    await client.told("state", { status: "waiting" });
    await fixture.publish("room.1", "r4");
    await fixture.publish("news", "n2");
    network.heal();
    network.stallUpgrades();
    assert.equal((await client.told("recovered", { transport: "sse" })).count, 2);
    const [{ query }] = (await fixture.requests("/live")).slice(-1);
    assert.match(query, new RegExp(`last-event-id=${own}`), "the smaller of the two");
    await fixture.publish("room.1", "r5");
    await room.messages(5);
    const between = await fixture.publish("news", "n3");
    await client.messages(3);

    network.heal();
    await client.evaluate(() => dispatchEvent(new Event("online")));
    await client.opened({ transport: "ws", count: 2 });
    await room.told("ready", { count: 1 });
    assert.equal((await client.told("recovered", { transport: "ws" })).count, 0);
    await fixture.publish("news", "n4");
    await fixture.publish("room.1", "r6");
    assert.deepEqual(await room.story(6), ["r1", "r2", "r3", "r4", "r5", "r6"]);
    assert.deepEqual(await client.data(4), ["n1", "n2", "n3", "n4"]);
    assert.notEqual(between, own);
    network.cut();
  });
}, openLivePage);
