// Dualcast's own client on the browser's own EventSource: no more than that can tell, but the same cursors, gaps and messages.

import assert from "node:assert/strict";
import { openLivePage } from "./live.mjs";
import { inEachBrowser } from "./scene.mjs";
import { startFixture } from "./server.mjs";

const eager = { transport: "eventsource", minDelay: 100, maxDelay: 300 };
const listening = { events: ["message", "note"] };
const news = "/live?channels=news";

inEachBrowser((test) => {
  test("hears the events that somebody listens to, also from later on", async ({ fixture, page }) => {
    const live = await page.connect(news, eager, { events: ["note"] });
    await live.opened();
    await fixture.publish("news", "unheard", { event: "later" });
    const ids = [await fixture.publish("news", "heard", { event: "note" })];
    await live.messages(1);
    await live.evaluate((live) => void live.on("later", () => {}));
    ids.push(await fixture.publish("news", "heard too", { event: "later" }));
    const messages = await live.messages(2);
    assert.deepEqual(messages.map(({ event, id, data }) => [event, id, data]), [
      ["note", ids[0], "heard"],
      ["later", ids[1], "heard too"],
    ]);
    assert.equal(await live.cursor(), ids[1]);
  });

  test("tells text from binary, and volatile from logged, and takes for JSON what is like it", async ({ fixture, page }) => {
    const live = await page.connect(news, eager, listening);
    await live.opened();
    const id = await fixture.publish("news", "a text");
    await fixture.publish("news", "volatile", { as: "volatile" });
    // It stands in no order towards logged messages: without this it might come behind the next.
    await live.messages(2);
    await fixture.publish("news", Buffer.from([0, 1, 255]), { as: "binary" });
    await fixture.publish("news", '{"a":[1,null]}', { as: "json" });
    await fixture.publish("news", "5");
    const messages = await live.messages(5);
    assert.deepEqual(messages.map(({ data }) => data), ["a text", "volatile", { bytes: [0, 1, 255] }, { a: [1, null] }, 5]);
    assert.deepEqual(messages.map(({ volatile }) => volatile), [false, true, false, false, false]);
    assert.deepEqual([messages[0].id, messages[1].id], [id, undefined]);
  });

  test("has all again after a cut, and comes back by itself, not by the browser", async (scene) => {
    const { fixture, network, page } = scene;
    const live = await page.connect(news, eager, listening);
    await live.opened();
    const id = await fixture.publish("news", "before");
    await live.messages(1);
    network.refuse();
    await live.told("state", { status: "waiting", reason: "lost" });
    await fixture.publishAll("news", ["missed", "missed too"]);
    network.heal();
    assert.equal((await live.told("recovered")).count, 2);
    await fixture.publish("news", "after");
    assert.deepEqual(await live.story(5), ["before", "missed", "missed too", { recovered: 2 }, "after"]);
    // Were it the browser, the id would be in the header.
    const requests = await fixture.requests("/live");
    assert.deepEqual(requests.map(({ lastEventId }) => lastEventId), [null, null]);
    assert.match(requests[1].query, new RegExp(`last-event-id=${id}`));
  });

  test("is told of another life of the log after a restart", async (scene) => {
    const live = await scene.page.connect(news, eager, listening);
    await live.opened();
    await scene.fixture.publish("news", "before");
    await live.messages(1);
    const { port } = scene.fixture;
    await scene.fixture.stop();
    scene.fixture = await startFixture({ port });
    await live.told("gap", { reason: "epoch" });
    await scene.fixture.publish("news", "after");
    assert.deepEqual(await live.story(3), ["before", { gap: "epoch" }, "after"]);
  });

  test("sends by POST, and stops at the end of its channel", async ({ fixture, page }) => {
    const live = await page.connect(news, eager, listening);
    await live.opened();
    assert.equal((await live.send("note", "sent")).error, undefined);
    await live.messages(1);
    await fixture.finish("news");
    const closed = await live.told("closed");
    assert.deepEqual([closed.status, closed.reason], ["closed", "finished"]);
    assert.deepEqual(await live.story(), ["sent", { finished: "news" }]);
    await fixture.idle();
  });

  test("follows several channels, and those that the page joins", async ({ fixture, network, page }) => {
    const live = await page.connect("/live?joins=true&channels=news", eager, listening);
    await live.opened();
    const room = await live.subscribe("room.1");
    await room.evaluate((channel) => void channel.on("note", () => {}));
    await room.told("ready");
    await fixture.publish("room.1", "r1", { event: "note" });
    await fixture.publish("news", "n1");
    await room.messages(1);
    await live.messages(1);
    network.refuse();
    await live.told("state", { status: "waiting", reason: "lost" });
    await fixture.publish("room.1", "r2", { event: "note" });
    await fixture.publish("news", "n2");
    network.heal();
    assert.equal((await live.told("recovered")).count, 2);
    assert.deepEqual(await room.story(2), ["r1", "r2"]);
    assert.deepEqual(await live.data(2), ["n1", "n2"]);
  });
}, openLivePage);
