// What a page goes through, and Dualcast's own client with it: hidden and seen, offline and online, left and brought back.
//
// The pages are really hidden, by another tab that lies over them. Offline is what the browser makes of its own switch: it
// says so to the page, lets no new connection through, and leaves those alone that are open, so the network is cut beside it.
// And the pages are really brought back from the back-forward cache, with one exception: Firefox keeps no page that has a
// connection when it is left, even if it lets go of it on `pagehide` or `beforeunload`. There such a page is only told.

import assert from "node:assert/strict";
import { ownLaunchers } from "./browsers.mjs";
import { openLivePage } from "./live.mjs";
import { inEachBrowser } from "./scene.mjs";
import { until } from "./until.mjs";

const transports = ["ws", "sse"];

/** So long that no test waits for it: what comes back sooner was told to. */
const anHour = 3_600_000;

inEachBrowser((test) => {
  for (const transport of transports) {
    test(`hears on while it is hidden, but tries nothing then, and comes back when it is seen, on ${transport}`, async (scene) => {
      const { fixture, network, page } = scene;
      const { live, published } = await connect(scene, { transport });
      await hide(page);
      await published("while it is hidden");
      await live.messages(2);

      network.cut();
      // Once when it was lost, and once when the time had come at which it would have tried.
      await live.told("state", { status: "away", count: 2 });
      await fixture.idle();
      await published("missed", "missed too");
      assert.equal((await fixture.requests("/live")).length, 1);

      await page.tab.show();
      assert.deepEqual(await live.told("recovered"), { kind: "recovered", count: 2, transport });
      await isWhole(live, published);
      assert.equal((await fixture.requests("/live")).length, 2);
    });

    test(`waits while it is offline, and comes back when it is online, on ${transport}`, async (scene) => {
      const { fixture, network, page } = scene;
      const { live, published } = await connect(scene, { transport, maxDelay: anHour });
      await goOffline(page);
      network.cut();
      const { retryAt } = await live.told("state", { status: "away" });
      await fixture.idle();
      assert.ok(retryAt - Date.now() > anHour / 2, "it trusts the browser for so long as it waits at most");
      await published("missed", "missed too");

      await page.tab.setOffline(false);
      assert.deepEqual(await live.told("recovered"), { kind: "recovered", count: 2, transport });
      await isWhole(live, published);
      assert.equal((await fixture.requests("/live")).length, 2);
    });

    test(`tries nothing when it is online again but hidden, on ${transport}`, async (scene) => {
      const { fixture, network, page } = scene;
      const { live, published } = await connect(scene, { transport, maxDelay: 2_000 });
      await goOffline(page);
      network.cut();
      await live.told("state", { status: "away" });
      await hide(page);
      await page.tab.setOffline(false);
      // As offline: once when it was lost, and once when its time had come.
      await live.told("state", { status: "away", count: 2 });
      await fixture.idle();
      await published("missed");
      assert.equal((await fixture.requests("/live")).length, 1);

      await page.tab.show();
      assert.deepEqual(await live.told("recovered"), { kind: "recovered", count: 1, transport });
      await isWhole(live, published);
      assert.equal((await fixture.requests("/live")).length, 2);
    });

    test(`exchanges a connection that another network may have taken away, on ${transport}`, async (scene) => {
      const { fixture, page } = scene;
      const { live, published } = await connect(scene, { transport });
      await goOffline(page);
      await page.tab.setOffline(false);
      assert.deepEqual(await live.told("recovered"), { kind: "recovered", count: 0, transport });
      await published("after");
      await isWhole(live, published);
      await isFollowedOnce(fixture);
    });

    test(`lets go when the page is left, and is back with it where it was, on ${transport}`, async (scene) => {
      const { fixture } = scene;
      const { live, published } = await connect(scene, { transport });
      await whileLeft(scene, { isOnlyTold: scene.isFirefox }, async () => {
        // The page is kept, with all that is in it, but the server has no session of it.
        await fixture.idle();
        await published("missed", "missed too");
      });
      assert.deepEqual(await live.told("recovered"), { kind: "recovered", count: 2, transport });
      await published("after");
      await isWhole(live, published);
      const statuses = (await live.heard()).filter(({ kind }) => kind === "state").map(({ status }) => status);
      assert.deepEqual(statuses, ["connecting", "open", "away", "connecting", "open"]);
      assert.equal((await fixture.requests("/live")).length, 2);
    });
  }

  test("is back with a page that was left while it waited", async (scene) => {
    const { fixture, network } = scene;
    // It waits until it is brought back, however long it takes to leave.
    const { live, published } = await connect(scene, { minDelay: anHour, maxDelay: anHour });
    network.refuse();
    await live.told("state", { status: "waiting" });
    network.heal();
    await whileLeft(scene, {}, async () => published("missed"));
    assert.deepEqual(await live.told("recovered"), { kind: "recovered", count: 1, transport: "ws" });
    await isWhole(live, published);
    await isFollowedOnce(fixture);
  });

  test("stays closed in a page that is brought back, where the page had closed it", async (scene) => {
    const { fixture } = scene;
    const { live } = await connect(scene, {});
    await live.close();
    await fixture.idle();
    await whileLeft(scene, {}, async () => {});
    assert.equal((await live.state()).status, "closed");
    await live.reconnect();
    await live.opened({ count: 2 });
    assert.equal((await fixture.requests("/live")).length, 2);
  });
}, openLivePage, ownLaunchers);

/** A client that is open and has heard one message, and what publishes more. */
async function connect({ fixture, page }, options) {
  // Heartbeats are frequent, since they end a recovery; but no silence is to be found here, however slow the machine.
  const live = await page.connect("/live?channels=news&heartbeat=200", { silence: anHour, ...options });
  await live.opened();
  const published = async (...texts) => {
    for (const data of texts) published.all.push({ id: await fixture.publish("news", data), data });
  };
  published.all = [];
  await published("first");
  await live.messages(1);
  return { live, published };
}

/** Hides the page, until it knows. */
async function hide(page) {
  await page.tab.hide();
  await until(() => page.evaluate(() => document.visibilityState === "hidden"), () => "the page is hidden");
}

/** Takes the network from the page, until it knows. */
async function goOffline(page) {
  await page.tab.setOffline(true);
  await until(() => page.evaluate(() => !navigator.onLine), () => "the page is offline");
}

/** One session is left, once the server has let go of the other. */
async function isFollowedOnce(fixture) {
  await until(async () => (await fixture.state()).sessions === 1, () => "one session is left");
}

/** Every message was told, once and in order, and no gap. */
async function isWhole(live, published) {
  const messages = await live.messages(published.all.length);
  assert.deepEqual(messages.map(({ id, data }) => ({ id, data })), published.all);
  const kinds = (await live.heard()).map(({ kind }) => kind);
  assert.ok(!kinds.includes("gap"), "nothing is missing");
  assert.equal(kinds.filter((kind) => kind === "recovered").length, 1);
}

/** Leaves the page, goes back, and proves that it is the same, and not loaded anew. */
async function whileLeft({ network, page }, { isOnlyTold = false }, happens) {
  if (isOnlyTold) {
    const tell = (name) => page.evaluate((name) => void dispatchEvent(new PageTransitionEvent(name, { persisted: true })), name);
    await tell("pagehide");
    await happens();
    return tell("pageshow");
  }
  await page.evaluate(() => {
    globalThis.shows = [];
    addEventListener("pageshow", ({ persisted }) => shows.push(persisted));
  });
  await page.tab.leave(`${network.url}/page?other`);
  await happens();
  await page.tab.goBack();
  // Between two pages there is none to ask.
  const shows = () => page.evaluate(() => globalThis.shows ?? []).catch(() => []);
  await until(async () => (await shows()).length === 1, () => "the page is brought back");
  assert.deepEqual(await shows(), [true]);
}
