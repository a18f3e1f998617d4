// From every ending that says "come back", a browser's own EventSource does so by itself: at the limits of the hub until
// there is room, and with its last id wherever it had one.

import assert from "node:assert/strict";
import { openPage } from "./clients.mjs";
import { inEachBrowser } from "./scene.mjs";
import { startFixture } from "./server.mjs";
import { until } from "./until.mjs";

const CONNECTING = 0; // EventSource.CONNECTING

/** What is asked for while another client listens to `news`, and the limit that is in the way. */
const limits = [
  ["max_sessions", 1, "news"],
  ["max_subscriptions", 1, "news"],
  ["max_channels", 1, "sport"],
];

inEachBrowser((test) => {
  for (const [name, value, channels] of limits) {
    test(`comes back at ${name} until there is room`, async (scene) => {
      const page = await pageOf(scene, { [name]: value });
      const first = await page.eventSource({ channels: "news" });
      await first.opened();

      const second = await page.eventSource({ channels });
      for (const count of [1, 2, 3]) {
        const { data: closing } = await second.notice("closing", { count });
        assert.deepEqual([closing.reason, closing.code, closing.reconnect], ["busy", 1013, true]);
        assert.deepEqual((await second.connection("error", { count })).data, CONNECTING);
      }
      await first.close();
      await second.opened();
      const id = await scene.fixture.publish(channels, "there is room");
      const told = { kind: "message", event: "message", id, data: "there is room" };
      assert.deepEqual(await second.messages(1), [told]);
      const requests = await scene.fixture.requests("/sse");
      assert.ok(requests.length >= 5 && requests.every(({ status }) => status === 200));
      await page.close();
    });
  }

  test("comes back at max_channels_per_subscription, though it is in vain", async (scene) => {
    const page = await pageOf(scene, { max_channels_per_subscription: 1 });
    const sse = await page.eventSource({ channels: "a,b" });
    const { data: closing } = await sse.notice("closing", { count: 3 });
    assert.deepEqual([closing.reason, closing.reconnect], ["busy", true]);
    assert.deepEqual((await sse.connection("error", { count: 3 })).data, CONNECTING);
    await page.close();
  });

  test("keeps its id while it is turned away, and misses nothing", async (scene) => {
    const page = await pageOf(scene, { max_sessions: 1 });
    const sse = await page.eventSource({ channels: "news" });
    await sse.opened();
    await scene.fixture.publish("news", "seen");
    await sse.messages(1);
    // The server dies; the next one lets nobody in, the one after that does.
    const { port } = scene.fixture;
    await scene.fixture.stop("SIGKILL");
    scene.fixture = await startFixture({ port, limits: { max_sessions: 0 } });
    await sse.notice("closing", { count: 2 });
    const turnedAway = await scene.fixture.requests("/sse");
    await scene.fixture.stop("SIGKILL");
    scene.fixture = await startFixture({ port });
    const { data: gap } = await sse.notice("gap");
    for (const { lastEventId } of turnedAway) assert.equal(lastEventId, gap.from);
    await page.close();
  });

  test("comes back with its id when it was too slow, and misses nothing", async ({ fixture, page }) => {
    const sse = await page.eventSource({ channels: "news", max_lag: 5 });
    await sse.opened();
    // So fast that a follower which may be five behind is further behind than that.
    await fixture.publishBurst("news", 900);
    await fixture.publish("news", "last");
    const numbers = Array.from({ length: 900 }, (_, index) => String(index + 1));
    const messages = await sse.messages(901);
    assert.deepEqual(messages.map(({ data }) => data), [...numbers, "last"]);
    const { data: closing } = await sse.notice("closing");
    assert.deepEqual([closing.reason, closing.code, closing.reconnect], ["slow", 4001, true]);
  });

  test("comes back with its id when it was cut for taking nothing, and misses nothing", async (scene) => {
    const { fixture, network, page } = scene;
    const sse = await page.eventSource({ channels: "news", write_timeout: 100 });
    await sse.opened();
    await fixture.publish("news", "before");
    await sse.messages(1);
    network.blackhole();
    // More than the buffers on the way hold.
    const texts = Array.from({ length: 30 }, (_, index) => `${index}:${"x".repeat(100_000)}`);
    await fixture.publishAll("news", texts);
    await fixture.idle();
    network.heal();
    // The page can't know: nothing tells it, until the network does.
    network.cut();
    const messages = await sse.messages(31);
    assert.deepEqual(messages.map(({ data }) => data.slice(0, 20)), ["before", ...texts.map((text) => text.slice(0, 20))]);
  });

  test("comes back when something failed on the server", async ({ fixture, page }) => {
    const sse = await page.eventSource({}, { path: "/panics" });
    for (const count of [1, 2]) {
      const { data: closing } = await sse.notice("closing", { count });
      assert.deepEqual([closing.reason, closing.code, closing.reconnect], ["internal", 1011, true]);
      await sse.messages(count);
    }
    await sse.close();
    await until(async () => (await fixture.requests("/panics")).length >= 2, () => "it came twice");
  });
});

async function pageOf(scene, limits) {
  await scene.fixture.stop();
  scene.fixture = await startFixture({ limits });
  return openPage(scene.browser, scene.fixture.url);
}
