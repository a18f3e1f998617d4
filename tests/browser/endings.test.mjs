// How a stream ends, and what the browser does then: it stays away from a channel that is finished, and it comes back
// to a server that was restarted.

import assert from "node:assert/strict";
import { openPage } from "./clients.mjs";
import { inEachBrowser } from "./scene.mjs";
import { startFixture } from "./server.mjs";

const CLOSED = 2; // EventSource.CLOSED

inEachBrowser((test) => {
  test("lets an EventSource go for good when the channel is finished", async ({ fixture, page }) => {
    const sse = await page.eventSource({ channels: "game" });
    await sse.opened();
    await fixture.publish("game", "goal");
    const end = await fixture.finish("game");

    assert.deepEqual((await sse.messages(1)).map(({ data }) => data), ["goal"]);
    const finished = await sse.notice("finished");
    assert.deepEqual(finished.data, { channel: "game" });
    assert.equal(finished.id, end);
    const closing = await sse.notice("closing");
    assert.equal(closing.data.reason, "finished");
    assert.equal(closing.data.reconnect, false);
    // The standard has it come back once, and stay away at the 204.
    await sse.connection("error", { data: CLOSED });
    const requests = await fixture.requests("/sse");
    assert.deepEqual(requests.map(({ lastEventId, status }) => [lastEventId, status]), [
      [null, 200],
      [end, 204],
    ]);
  });

  test("closes a WebSocket with 1000 when the channel is finished", async ({ fixture, page }) => {
    const ws = await page.webSocket({ channels: "game" });
    await ws.opened();
    await fixture.publish("game", "goal");
    const end = await fixture.finish("game");

    assert.deepEqual((await ws.messages(1)).map(({ data }) => data), ["goal"]);
    const finished = await ws.notice("finished");
    assert.deepEqual([finished.id, finished.data], [end, { channel: "game" }]);
    assert.equal((await ws.notice("closing")).data.reconnect, false);
    const { data: close } = await ws.connection("close");
    assert.equal(close.code, 1000);
    assert.equal(close.wasClean, true);
  });

  test("shows who comes late what is kept of a finished channel, and its end", async ({ fixture, page }) => {
    await fixture.publishAll("game", ["goal", "another"]);
    await fixture.finish("game");

    const sse = await page.eventSource({ channels: "game" });
    const ws = await page.webSocket({ channels: "game" });
    await sse.connection("error", { data: CLOSED });
    assert.equal((await ws.connection("close")).data.code, 1000);
    for (const client of [sse, ws]) {
      assert.deepEqual((await client.messages(2)).map(({ data }) => data), ["goal", "another"]);
      await client.notice("finished");
    }
  });

  for (const [what, signal] of [
    ["restarted", "SIGTERM"],
    ["killed and started again", "SIGKILL"],
  ]) {
    test(`comes back to a server that is ${what}`, async (scene) => {
      // Straight to the server: while it is down, nobody accepts.
      const { fixture, browser } = scene;
      const page = await openPage(browser, fixture.url);
      const sse = await page.eventSource({ channels: "news" });
      const ws = await page.webSocket({ channels: "news" });
      await sse.opened();
      await ws.opened();
      const last = await fixture.publish("news", "before");
      for (const client of [sse, ws]) await client.messages(1);

      const stopped = await fixture.stop(signal);
      const { data: close } = await ws.connection("close");
      if (signal === "SIGTERM") {
        assert.deepEqual(stopped, { code: 0, signal: null });
        const { data: closing } = await sse.notice("closing");
        assert.deepEqual([closing.reason, closing.reconnect], ["shutdown", true]);
        // But for the moment to come back at, which is each client's own.
        const { data: other } = await ws.notice("closing");
        assert.deepEqual({ ...other, retry: closing.retry }, closing);
        assert.deepEqual([close.code, close.wasClean], [1012, true]);
      } else {
        assert.deepEqual([close.code, close.wasClean], [1006, false]);
      }

      // What a new server's log held is gone with the old one, and the client is told.
      scene.fixture = await startFixture({ port: fixture.port });
      const again = await page.webSocket({ channels: "news", "last-event-id": last });
      for (const client of [sse, again]) {
        const { data: gap } = await client.notice("gap");
        assert.deepEqual([gap.channel, gap.from, gap.reason], ["news", last, "epoch"]);
      }
      const id = await scene.fixture.publish("news", "after");
      assert.deepEqual((await sse.messages(2)).map(({ data }) => data), ["before", "after"]);
      assert.deepEqual((await again.messages(1)).map((message) => message.id), [id]);
      await page.close();
    });
  }
});
