// What lets no WebSocket through, or lets it open and then nothing: Dualcast's own client goes on by event stream and POST,
// keeps to that for the session, and comes back to the WebSocket when it can.

import assert from "node:assert/strict";
import { nginx, start } from "../proxies/running.mjs";
import { openLivePage } from "./live.mjs";
import { inEachBrowser } from "./scene.mjs";
import { startFixture } from "./server.mjs";
import { until } from "./until.mjs";

const news = "/live?channels=news";
/** What says nothing is soon given up, but not what is slow to say something on a busy machine. */
const eager = { minDelay: 100, maxDelay: 300, connectTimeout: 4_000 };

/** As in docs/proxies.md, but for what a WebSocket needs. */
const upgradesNothing = nginx("", (text) => text.replaceAll(/^ *proxy_(http_version|set_header (Upgrade|Connection)) .*\n/gm, ""));

inEachBrowser((test) => {
  test("goes on by event stream and POST behind an nginx that upgrades nothing", async ({ browser, fixture }) => {
    await behind(upgradesNothing, browser, fixture, async (page) => {
      const live = await page.connect(news);
      await hasGivenWay(live, fixture);

      // For the session it keeps to that: another client of the page, and the page that is loaded anew.
      const second = await page.connect(news);
      await second.opened();
      assert.deepEqual(await ways(second), ["connecting sse", "open sse"]);
      await page.reload();
      const third = await page.connect(news);
      await third.opened();
      assert.deepEqual(await ways(third), ["connecting sse", "open sse"]);
      const gets = (await fixture.requests("/live")).filter(({ method }) => method === "GET");
      assert.equal(gets.length, 1 + 3, "one was refused");
    });
  });

  test("opens a WebSocket behind an nginx that is told to", async ({ browser, fixture }) => {
    await behind(nginx(""), browser, fixture, async (page) => {
      const live = await page.connect({ ws: "/ws?channels=news", sse: "/sse?channels=news" });
      await live.opened();
      await fixture.publish("news", "heard");
      assert.equal((await live.send("message", "sent")).error, undefined);
      assert.deepEqual(await live.story(2), ["heard", "sent"]);
      assert.deepEqual(await ways(live), ["connecting ws", "open ws"]);
    });
  });

  test("comes back through an nginx that answers 502 for a server that is gone", async (scene) => {
    await behind(upgradesNothing, scene.browser, scene.fixture, async (page) => {
      const live = await page.connect(news, { ...eager, transport: "sse" });
      await live.opened();
      await scene.fixture.publish("news", "before");
      await live.messages(1);
      const { port } = scene.fixture;
      await scene.fixture.stop("SIGKILL");
      await live.told("state", { status: "waiting", reason: "refused", code: 502 });
      scene.fixture = await startFixture({ port });
      await live.told("gap", { reason: "epoch" });
      await scene.fixture.publish("news", "after");
      assert.deepEqual(await live.story(3), ["before", { gap: "epoch" }, "after"]);
    });
  });

  test("goes on by event stream and POST where a WebSocket opens and says nothing", async (scene) => {
    const { fixture, network, page } = scene;
    network.stallUpgrades();
    const live = await page.connect(news, eager);
    await hasGivenWay(live, fixture);
    assert.equal((await live.state()).reason, undefined, "it stands as if nothing had been");

    const second = await page.connect(news, eager);
    await second.opened();
    assert.deepEqual(await ways(second), ["connecting sse", "open sse"]);
    await page.reload();
    const third = await page.connect(news, eager);
    await third.opened();
    assert.deepEqual(await ways(third), ["connecting sse", "open sse"]);

    // It may be another network, which lets more through.
    network.heal();
    await third.evaluate(() => dispatchEvent(new Event("online")));
    await third.opened({ transport: "ws" });
    await third.told("recovered", { transport: "ws" });
    await fixture.publish("news", "by WebSocket");
    assert.deepEqual(await third.story(2), [{ recovered: 0 }, "by WebSocket"]);
    network.cut();
  });

  test("goes on by event stream where a WebSocket falls silent at its beginning, and misses nothing", async (scene) => {
    const { fixture, network, page } = scene;
    network.stallUpgrades(1_000);
    // It is given up after twice that.
    const live = await page.connect(`${news}&heartbeat=2000`, eager);
    await live.opened({ transport: "ws" });
    const half = "x".repeat(2_000);
    await fixture.publish("news", half);
    await live.told("recovered", { transport: "sse" });
    await fixture.publish("news", "after");
    assert.deepEqual(await live.story(3), [half, { recovered: 1 }, "after"]);
    network.cut();
  });

  test("comes back to the WebSocket when it is let through again, without a break", async (scene) => {
    const { fixture, network, page } = scene;
    const { live, publisher } = await besideStalledUpgrades(scene);
    await live.messages(10);
    network.heal();
    await live.opened({ transport: "ws" });
    const { length } = await live.messages(0);
    await live.messages(length + 10);
    await heardWithoutBreak(live, publisher);
    network.cutSilent();
    await until(async () => (await fixture.state()).sessions === 1, () => "the event stream is closed");

    const second = await page.connect(news, eager);
    await second.opened();
    assert.deepEqual(await ways(second), ["connecting ws", "open ws"], "it keeps to that, too");
  });

  test("tries the WebSocket beside the event stream, which goes on where that is in vain", async (scene) => {
    const { fixture, network } = scene;
    const { live, publisher } = await besideStalledUpgrades(scene);
    await until(() => network.countSilent() > 0, () => "it tries the WebSocket again");
    assert.equal((await live.state()).transport, "sse");
    // What stalled once stalls for good: it is another attempt that gets through.
    network.heal();
    await live.opened({ transport: "ws" });
    await heardWithoutBreak(live, publisher);
    const { length } = await fixture.requests("/live");
    assert.ok(length >= 1 + 1 + 2, `${length} requests: by WebSocket, by event stream, and twice beside that`);
    network.cut();
  });
}, openLivePage);

/** A client that is on an event stream, since no upgrade gets through, and a publisher that goes on and on. */
async function besideStalledUpgrades({ fixture, network, page }) {
  await hasten(page);
  network.stallUpgrades();
  const live = await page.connect(news, eager);
  await until(() => network.countSilent() > 0, () => "it tries the WebSocket");
  // Here it need not find that out by itself.
  network.cutSilent();
  await live.opened({ transport: "sse" });
  return { live, publisher: fixture.keepPublishing("news") };
}

/** It went over to the WebSocket at last, and heard all once and in order. It had all the time all, so there is nothing to tell the page. */
async function heardWithoutBreak(live, publisher) {
  const ids = await publisher.stop();
  const messages = await live.messages(ids.length);
  assert.deepEqual(messages.map(({ id }) => id), ids);
  assert.deepEqual((await live.story()).filter((told) => typeof told !== "string"), []);
  assert.deepEqual(await ways(live), ["connecting ws", "connecting sse", "open sse", "open ws"]);
}

/** Long waits of the page pass fast: the WebSocket is tried again after 15 seconds at the least. */
async function hasten(page) {
  await page.evaluate(() => {
    const { setTimeout } = globalThis;
    globalThis.setTimeout = (run, milliseconds) => setTimeout(run, milliseconds > 10_000 ? milliseconds / 20 : milliseconds);
  });
}

/** It went to the event stream, by which it hears, and sends by POST. */
async function hasGivenWay(live, fixture) {
  await live.opened();
  await fixture.publish("news", "heard");
  await live.messages(1);
  assert.equal((await live.send("message", "sent")).error, undefined);
  assert.deepEqual(await live.story(2), ["heard", "sent"]);
  assert.deepEqual(await ways(live), ["connecting ws", "connecting sse", "open sse"]);
}

/** The steps of its way, such as `connecting ws`. */
async function ways(live) {
  const states = (await live.heard()).filter(({ kind }) => kind === "state");
  return states.filter(({ transport }) => transport).map(({ status, transport }) => `${status} ${transport}`);
}

/** Runs this with a page of the fixture behind a proxy. */
async function behind(proxy, browser, fixture, body) {
  const running = await start(proxy, fixture.port);
  try {
    const page = await openLivePage(browser, running.url);
    await body(page).finally(() => page.close());
  } finally {
    await running.stop();
  }
}
