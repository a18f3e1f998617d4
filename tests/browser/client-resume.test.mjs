// Dualcast's own client comes back by itself, whatever became of its connection: with every message once and in order, and a
// word to the page that it has all again, or what it has not.

import assert from "node:assert/strict";
import { openLivePage } from "./live.mjs";
import { inEachBrowser } from "./scene.mjs";
import { startFixture } from "./server.mjs";

const transports = ["ws", "sse"];
const other = { ws: "sse", sse: "ws" };
const news = "/live?channels=news";
/** Tests wait for the client, so it shall not wait long. */
const eager = { minDelay: 100, maxDelay: 300 };

inEachBrowser((test) => {
  for (const transport of transports) {
    const options = { transport, ...eager };

    for (const [moment, before] of [
      ["before the first message", []],
      ["after one", ["1"]],
      ["after several", ["1", "2", "3"]],
    ]) {
      test(`has all again after a cut ${moment} on ${transport}`, async ({ fixture, network, page }) => {
        const live = await page.connect(news, options);
        await live.opened();
        const ids = await fixture.publishAll("news", before);
        await live.messages(before.length);

        network.refuse();
        await live.told("state", { status: "waiting", reason: "lost" });
        ids.push(...(await fixture.publishAll("news", ["missed", "missed too"])));
        network.heal();
        assert.deepEqual(await live.told("recovered"), { kind: "recovered", count: 2, transport });
        ids.push(await fixture.publish("news", "live"));

        const messages = await live.messages(ids.length);
        assert.deepEqual(messages.map(({ id }) => id), ids);
        assert.deepEqual(await live.story(), [...before, "missed", "missed too", { recovered: 2 }, "live"]);
        assert.equal(await live.cursor(), ids.at(-1));
      });
    }

    test(`has all again where nothing was missed on ${transport}`, async ({ fixture, network, page }) => {
      const live = await page.connect(news, options);
      await live.opened();
      await fixture.publish("news", "before");
      await live.messages(1);
      network.cut();
      await live.told("recovered");
      await fixture.publish("news", "after");
      assert.deepEqual(await live.story(3), ["before", { recovered: 0 }, "after"]);
    });

    test(`forgets half a message on ${transport}, and gets the whole of it after the cut`, async (scene) => {
      const { fixture, network, page } = scene;
      // So that none is left by which the page came: the client might come back by one, and be cut once more.
      network.cut();
      const live = await page.connect(news, options);
      await live.opened();
      await fixture.publish("news", "before");
      await live.messages(1);

      const large = `begin ${"x".repeat(500_000)} end`;
      network.cutAfter(100_000);
      await fixture.publish("news", large);
      await live.told("recovered");
      await fixture.publish("news", "after");
      assert.deepEqual(brief(await live.story(4)), brief(["before", large, { recovered: 1 }, "after"]));
    });

    test(`counts all that it missed when it is cut again while it catches up on ${transport}`, async (scene) => {
      const { fixture, network, page } = scene;
      const live = await page.connect(news, options);
      await live.opened();
      network.refuse();
      await live.told("state", { status: "waiting" });
      const texts = Array.from({ length: 5 }, (_, index) => `${index} ${"x".repeat(100_000)}`);
      await fixture.publishAll("news", texts);
      network.stallNextAfter(250_000);
      network.heal();
      await live.messages(2);
      network.cut();
      await live.told("recovered");
      await fixture.publish("news", "after");
      assert.deepEqual(brief(await live.story(7)), brief([...texts, { recovered: 5 }, "after"]));
    });

    test(`gets every message once and in order while the network comes and goes on ${transport}`, async (scene) => {
      const { fixture, network, page } = scene;
      const live = await page.connect(news, options);
      await live.opened();
      const publisher = fixture.keepPublishing("news");
      for (let round = 1; round <= 4; round++) {
        const { length } = await live.messages(0);
        await live.messages(length + 10);
        network.cut();
        await live.told("recovered", { count: round });
      }
      const ids = await publisher.stop();
      const messages = await live.messages(ids.length);
      assert.deepEqual(messages.map(({ id }) => id), ids);
      assert.deepEqual((await live.story()).filter(({ gap }) => gap), []);
    });

    test(`is told of another life of the log after a restart, and hears it, on ${transport}`, async (scene) => {
      const { page } = scene;
      const live = await page.connect(news, options);
      await live.opened();
      const cursors = [await scene.fixture.publish("news", "before")];
      await live.messages(1);
      const { port } = scene.fixture;
      // First in good order, then without a word.
      for (const [round, signal] of ["SIGTERM", "SIGKILL"].entries()) {
        await scene.fixture.stop(signal);
        scene.fixture = await startFixture({ port });
        cursors.push(await scene.fixture.publish("news", `after ${signal}`));
        const gap = await live.told("gap", { count: round + 1 });
        assert.deepEqual([gap.channel, gap.from, gap.reason], ["news", cursors[round], "epoch"]);
        await live.messages(round + 2);
      }
      const reasons = (await live.heard()).filter(({ status }) => status === "waiting").map(({ reason }) => reason);
      assert.deepEqual([reasons[0], reasons.at(-1)], ["shutdown", "lost"]);
      // Neither was a recovery.
      assert.deepEqual(await live.story(), ["before", { gap: "epoch" }, "after SIGTERM", { gap: "epoch" }, "after SIGKILL"]);
      assert.equal(await live.cursor(), cursors.at(-1));
    });

    test(`is told what was trimmed from the log meanwhile on ${transport}`, async ({ fixture, network, page }) => {
      const live = await page.connect("/live?channels=short.news", options); // keeps three records
      await live.opened();
      const [first] = await fixture.publishAll("short.news", ["1"]);
      await live.messages(1);
      network.refuse();
      const ids = await fixture.publishAll("short.news", ["2", "3", "4", "5", "6"]);
      network.heal();
      const gap = await live.told("gap");
      assert.deepEqual([gap.from, gap.to, gap.reason], [first, ids[1], "trimmed"]);
      await live.messages(4);
      // By then it would have been told that it has all again.
      await fixture.publish("short.news", "7");
      await live.messages(5);
      assert.deepEqual(await live.story(), ["1", { gap: "trimmed" }, "4", "5", "6", "7"]);
    });

    test(`begins where a snapshot was read on ${transport}`, async ({ fixture, page }) => {
      const [, position] = await fixture.publishAll("news", ["1", "2", "3"]);
      const live = await page.connect(news, { ...options, position });
      await live.told("recovered");
      await fixture.publish("news", "4");
      assert.deepEqual(await live.story(3), ["3", { recovered: 1 }, "4"]);
    });

    test(`goes on where the page was before it was loaded anew on ${transport}`, async ({ fixture, page }) => {
      const persisting = { ...options, persist: true };
      const first = await page.connect(news, persisting);
      await first.opened();
      const publisher = fixture.keepPublishing("news");
      await first.messages(10);
      const [told] = await page.reload();
      const before = told.filter(({ kind }) => kind === "message");
      const second = await page.connect(news, persisting);
      const { count } = await second.told("recovered");
      const ids = await publisher.stop();
      const after = await second.messages(ids.length - before.length);
      assert.deepEqual([...before, ...after].map(({ id }) => id), ids);
      // What was published while there was no page came before it was told that all is there.
      const story = await second.story();
      assert.deepEqual(story.indexOf(story.find(({ recovered }) => recovered !== undefined)), count);
      assert.deepEqual(story.filter(({ gap }) => gap), []);
      const [, back] = await fixture.requests("/live");
      assert.match(back.query, new RegExp(`last-event-id=${before.at(-1).id}(&|$)`));
    });
  }

  test("moves between the transports at one cursor", async ({ fixture, page }) => {
    let transport = "ws";
    let live = await page.connect(news, { transport });
    await live.opened();
    const publisher = fixture.keepPublishing("news");
    const heard = [];
    for (let round = 0; round < 4; round++) {
      await live.messages(10);
      const position = await live.evaluate((live) => {
        live.close();
        return live.cursor;
      });
      heard.push(...(await live.messages(0)));
      assert.equal(position, heard.at(-1).id);
      transport = other[transport];
      live = await page.connect(news, { transport, position });
      await live.told("recovered", { transport });
    }
    const ids = await publisher.stop();
    heard.push(...(await live.messages(ids.length - heard.length)));
    assert.deepEqual(heard.map(({ id }) => id), ids);
    assert.deepEqual((await live.story()).filter(({ gap }) => gap), []);
  });

  test("hears nothing more once it is closed, and lets the server go", async ({ fixture, page }) => {
    for (const [index, transport] of transports.entries()) {
      const live = await page.connect(news, { transport });
      await live.opened();
      await live.close();
      await fixture.idle();
      await fixture.publish("news", "unheard");
      const { status, reason } = await live.state();
      assert.deepEqual([status, reason], ["closed", "left"]);
      assert.deepEqual(await live.story(), []);
      assert.equal((await fixture.requests("/live")).length, index + 1);
    }
  });
}, openLivePage);

/** Long texts by their beginning, end and length: what differs can then be read. */
function brief(story) {
  return story.map((told) => (told.length > 100 ? `${told.slice(0, 10)}…${told.slice(-10)} (${told.length})` : told));
}
