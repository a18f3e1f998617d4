// A browser that was cut off comes back with the last id it saw, an EventSource by itself and a WebSocket by a query
// parameter, and misses nothing, or is told what it missed.

import assert from "node:assert/strict";
import { inEachBrowser } from "./scene.mjs";

inEachBrowser((test) => {
  for (const [moment, before] of [
    ["before the first event", []],
    ["after one event", ["1"]],
    ["after several", ["1", "2", "3"]],
  ]) {
    test(`resumes an EventSource that is cut ${moment}`, async ({ fixture, network, page }) => {
      const sse = await page.eventSource({ channels: "news" });
      await sse.opened();
      const { id: opening } = await sse.notice("heartbeat");
      const ids = await fixture.publishAll("news", before);
      await sse.messages(before.length);

      network.refuse();
      ids.push(...(await fixture.publishAll("news", ["missed", "missed too"])));
      network.heal();
      await sse.messages(ids.length);
      ids.push(await fixture.publish("news", "live"));

      const messages = await sse.messages(ids.length);
      assert.deepEqual(messages.map(({ data }) => data), [...before, "missed", "missed too", "live"]);
      assert.deepEqual(messages.map(({ id }) => id), ids);
      const last = before.length ? ids[before.length - 1] : opening;
      assert.deepEqual(await cameBackWith(fixture), [null, last]);
      await heardOfNoGap(sse);
    });

    test(`resumes a WebSocket that is cut ${moment}`, async ({ fixture, network, page }) => {
      const first = await page.webSocket({ channels: "news" });
      await first.opened();
      const ids = await fixture.publishAll("news", before);
      const seen = await first.messages(before.length);
      const last = seen.at(-1) ?? (await first.notice("welcome"));

      network.cut();
      await first.connection("close");
      ids.push(...(await fixture.publishAll("news", ["missed", "missed too"])));
      const second = await page.webSocket({ channels: "news", "last-event-id": last.id });
      await second.messages(2);
      ids.push(await fixture.publish("news", "live"));

      const messages = [...seen, ...(await second.messages(3))];
      assert.deepEqual(messages.map(({ data }) => data), [...before, "missed", "missed too", "live"]);
      assert.deepEqual(messages.map(({ id }) => id), ids);
      await heardOfNoGap(second);
    });
  }

  test("comes back to an EventSource with the id of a heartbeat after a quiet hour", async (scene) => {
    const { fixture, network, page } = scene;
    const sse = await page.eventSource({ channels: "quiet", heartbeat: 100 });
    await sse.opened();
    await fixture.publish("quiet", "before");
    await sse.messages(1);
    // Another channel moves the head meanwhile, and the heartbeat says so.
    const [, , head] = await fixture.publishAll("busy", ["1", "2", "3"]);
    await sse.notice("heartbeat", { id: head });

    network.refuse();
    await fixture.publish("quiet", "missed");
    network.heal();
    const messages = await sse.messages(2);
    assert.deepEqual(messages.map(({ data }) => data), ["before", "missed"]);
    assert.deepEqual(await cameBackWith(fixture), [null, head]);
    await heardOfNoGap(sse);
  });

  test("comes back to a WebSocket with the id of a heartbeat after a quiet hour", async (scene) => {
    const { fixture, network, page } = scene;
    const first = await page.webSocket({ channels: "quiet", heartbeat: 100 });
    await first.opened();
    await fixture.publish("quiet", "before");
    await first.messages(1);
    const [, , head] = await fixture.publishAll("busy", ["1", "2", "3"]);
    await first.notice("heartbeat", { id: head });

    network.cut();
    await first.connection("close");
    await fixture.publish("quiet", "missed");
    const second = await page.webSocket({ channels: "quiet", "last-event-id": head });
    assert.deepEqual((await second.messages(1)).map(({ data }) => data), ["missed"]);
    await heardOfNoGap(second);
  });

  test("forgets half a message, and gets the whole of it after the cut", async ({ fixture, network, page }) => {
    // So that none is left by which the page came: the client might come back by one, and be cut once more.
    network.cut();
    const sse = await page.eventSource({ channels: "news" });
    const first = await page.webSocket({ channels: "news" });
    await sse.opened();
    await first.opened();
    const ids = [await fixture.publish("news", "before")];
    await sse.messages(1);
    await first.messages(1);

    const large = "x".repeat(500_000);
    network.cutAfter(100_000);
    ids.push(await fixture.publish("news", large));
    await first.connection("close");
    assert.equal((await first.messages(0)).length, 1);
    const second = await page.webSocket({ channels: "news", "last-event-id": ids[0] });
    ids.push(await fixture.publish("news", "after"));

    const brief = (messages) => messages.map(({ id, data }) => [id, data.length]);
    const whole = [
      [ids[0], "before".length],
      [ids[1], large.length],
      [ids[2], "after".length],
    ];
    assert.deepEqual(brief(await sse.messages(3)), whole);
    assert.deepEqual(brief(await second.messages(2)), whole.slice(1));
    assert.deepEqual(await cameBackWith(fixture), [null, ids[0]]);
  });

  test("gets every message once and in order while the network comes and goes", async (scene) => {
    const { fixture, network, page } = scene;
    const sse = await page.eventSource({ channels: "flow" });
    let ws = await page.webSocket({ channels: "flow" });
    await sse.opened();
    await ws.opened();
    const publisher = fixture.keepPublishing("flow");
    const byWebSocket = [];

    for (let round = 1; round <= 3; round++) {
      const bySse = await sse.messages(0);
      await sse.messages(bySse.length + 10);
      await ws.messages(10);
      network.cut();
      await ws.connection("close");
      byWebSocket.push(...(await ws.messages(0)));
      ws = await page.webSocket({ channels: "flow", "last-event-id": byWebSocket.at(-1).id });
      await sse.connection("open", { count: round + 1 });
    }

    const ids = await publisher.stop();
    byWebSocket.push(...(await ws.messages(ids.length - byWebSocket.length)));
    assert.deepEqual(byWebSocket.map(({ id }) => id), ids);
    assert.deepEqual((await sse.messages(ids.length)).map(({ id }) => id), ids);
    await heardOfNoGap(sse);
  });

  test("goes from EventSource to WebSocket and back at the same cursor", async ({ fixture, network, page }) => {
    const channels = "news";
    const first = await page.eventSource({ channels });
    await first.opened();
    const ids = await fixture.publishAll(channels, ["1", "2"]);
    const seen = await first.messages(2);
    await first.close();
    ids.push(await fixture.publish(channels, "3"));

    const second = await page.webSocket({ channels, "last-event-id": seen.at(-1).id });
    await second.messages(1);
    ids.push(await fixture.publish(channels, "4"));
    seen.push(...(await second.messages(2)));
    await second.close();
    await second.connection("close");
    ids.push(await fixture.publish(channels, "5"));

    const from = seen.at(-1).id;
    const third = await page.eventSource({ channels, "last-event-id": from });
    await third.messages(1);
    ids.push(await fixture.publish(channels, "6"));
    await third.messages(2);
    // The query of an EventSource grows old: when it reconnects, what the browser saw last goes before it.
    network.refuse();
    ids.push(await fixture.publish(channels, "7"));
    network.heal();
    seen.push(...(await third.messages(3)));

    assert.deepEqual(seen.map(({ data }) => data), ["1", "2", "3", "4", "5", "6", "7"]);
    assert.deepEqual(seen.map(({ id }) => id), ids);
    const back = (await fixture.requests("/sse")).at(-1);
    assert.ok(back.query.includes(`last-event-id=${from}`), back.query);
    assert.equal(back.lastEventId, ids.at(-2));
    await heardOfNoGap(third);
  });

  test("is told what was trimmed from the log meanwhile", async ({ fixture, network, page }) => {
    const channels = "short.news"; // keeps three records
    const sse = await page.eventSource({ channels });
    await sse.opened();
    const ids = await fixture.publishAll(channels, ["1"]);
    await sse.messages(1);

    network.refuse();
    ids.push(...(await fixture.publishAll(channels, ["2", "3", "4", "5", "6"])));
    network.heal();
    const ws = await page.webSocket({ channels, "last-event-id": ids[0] });
    for (const client of [sse, ws]) {
      const { data: gap } = await client.notice("gap");
      assert.deepEqual(gap, { channel: channels, from: ids[0], to: ids[2], reason: "trimmed" });
    }
    assert.deepEqual((await sse.messages(4)).map(({ data }) => data), ["1", "4", "5", "6"]);
    assert.deepEqual((await ws.messages(3)).map(({ data }) => data), ["4", "5", "6"]);
    // It comes where the messages are missing.
    const heard = (await sse.heard()).filter(({ kind, event }) => kind === "message" || event === "gap");
    assert.deepEqual(heard.map(({ event }) => event), ["message", "gap", "message", "message", "message"]);
  });

  test("is told of a cursor that makes no sense, and hears what follows", async ({ fixture, page }) => {
    await fixture.publish("news", "before");
    const query = { channels: "news", "last-event-id": "nonsense" };
    const sse = await page.eventSource(query);
    const ws = await page.webSocket(query);
    for (const client of [sse, ws]) {
      const { data: gap } = await client.notice("gap");
      assert.deepEqual({ ...gap, to: null }, { channel: "news", from: null, to: null, reason: "unreadable" });
    }
    const id = await fixture.publish("news", "after");
    const expected = [{ kind: "message", event: "message", id, data: "after" }];
    assert.deepEqual(await sse.messages(1), expected);
    assert.deepEqual(await ws.messages(1), expected);
  });
});

/** What each request for the event stream carried as `Last-Event-ID`, the first of them included. */
async function cameBackWith(fixture) {
  return (await fixture.requests("/sse")).map(({ lastEventId }) => lastEventId);
}

async function heardOfNoGap(client) {
  const heard = await client.heard();
  assert.deepEqual(heard.filter(({ event }) => event === "gap"), []);
}
