// A network that goes away without a word, in both directions or in one: Dualcast's own client notices by the silence, and
// misses nothing.

import assert from "node:assert/strict";
import { openLivePage } from "./live.mjs";
import { inEachBrowser } from "./scene.mjs";

const news = "/live?channels=news";
/** Too long a silence, in milliseconds: twice the interval of heartbeats. Where nobody is silent, a busy machine does say something in it. */
const silence = 4_000;
const seldom = `${news}&heartbeat=${silence / 2}`;
/** So often that one is heard soon. */
const often = `${news}&heartbeat=500`;
/** So long that no test waits for it. */
const anHour = 3_600_000;
const eager = { minDelay: 100, maxDelay: 300, connectTimeout: 4_000 };
/** An EventSource is deaf to others. */
const listening = { events: ["message"] };

/**
 * Takes away the connections by which the page came. The browser keeps them for what it asks for next; and as those that went
 * silent here stay so, it would ask by one after the other in vain.
 */
const forgetOld = (network) => network.cut();

inEachBrowser((test) => {
  for (const transport of ["ws", "sse", "eventsource"]) {
    test(`notices that ${transport} fell silent, and misses nothing`, async ({ fixture, network, page }) => {
      forgetOld(network);
      const live = await page.connect(seldom, { transport, ...eager }, listening);
      await live.opened();
      await fixture.publish("news", "before");
      await live.messages(1);

      network.blackhole();
      await fixture.publishAll("news", ["missed", "missed too"]);
      await live.told("state", { status: "waiting", reason: "silent" });
      network.heal();
      // What went silent stays so: only a client that comes by another connection hears them.
      assert.deepEqual(await live.told("recovered"), { kind: "recovered", count: 2, transport });
      await fixture.publish("news", "after");
      assert.deepEqual(await live.story(5), ["before", "missed", "missed too", { recovered: 2 }, "after"]);
      // Nobody tells the server, until the network does.
      network.cut();
    });

    test(`does not take a quiet channel for a silent network on ${transport}`, async ({ fixture, page }) => {
      const live = await page.connect(often, { transport, ...eager, silence }, listening);
      await live.opened();
      // For longer than the silence. Each heartbeat moves its cursor to the head, which another channel moves.
      for (let beat = 0; beat < 10; beat++) {
        const head = await fixture.publish("sport", "elsewhere");
        await live.evaluate(async (live, head) => {
          while (live.cursor !== head) await new Promise((resolve) => setTimeout(resolve, 10));
        }, head);
      }
      await fixture.publish("news", "after");
      assert.deepEqual(await live.story(1), ["after"]);
      assert.equal((await fixture.requests("/live")).length, 1);
    });
  }

  test("notices that what it sends by WebSocket gets lost, though it still hears", async ({ fixture, network, page }) => {
    forgetOld(network);
    // It hears heartbeats all the time: it is the answer alone that does not come.
    const live = await page.connect(often, { transport: "ws", ...eager, silence: anHour, replyTimeout: 5_000 });
    await live.opened();
    network.swallow();
    const sent = live.send("message", "sent", { whileAway: "queue" });
    await fixture.publish("news", "heard meanwhile");
    await live.messages(1);
    await live.told("state", { status: "waiting", reason: "silent" });
    network.heal();
    await live.told("recovered");
    assert.equal((await sent).error, undefined);
    await fixture.publish("news", "after");
    // It may come as a message before it has all again, or behind.
    await live.messages(3);
    const story = await live.story();
    assert.deepEqual(story.filter((told) => typeof told === "string"), ["heard meanwhile", "sent", "after"]);
    assert.equal(story.filter(({ recovered }) => recovered !== undefined).length, 1);
    network.cut();
  });

  test("tells of a POST that gets lost, and goes on hearing by the event stream", async ({ fixture, network, page }) => {
    forgetOld(network);
    // Long enough for the POST that gets through.
    const live = await page.connect(news, { transport: "sse", replyTimeout: 4_000, ...eager });
    await live.opened();
    network.swallow();
    const { error } = await live.send("message", "lost");
    assert.equal(error.code, "unconfirmed");
    assert.match(error.message, /TimeoutError/);
    await fixture.publish("news", "heard meanwhile");
    await live.messages(1);
    network.heal();
    assert.equal((await live.send("message", "sent")).error, undefined);
    assert.deepEqual(await live.story(2), ["heard meanwhile", "sent"]);
    const states = (await live.heard()).filter(({ kind }) => kind === "state").map(({ status }) => status);
    assert.deepEqual(states.slice(-2), ["connecting", "open"], "and was never closed");
    network.cut();
  });
}, openLivePage);
