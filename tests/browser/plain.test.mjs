// A browser needs no library of ours: its own EventSource and its own WebSocket hear the same channel, with the same
// ids and in the same order.

import assert from "node:assert/strict";
import { inEachBrowser } from "./scene.mjs";

inEachBrowser((test) => {
  test("hears a channel over both, with the same ids and order", async ({ fixture, page }) => {
    const sse = await page.eventSource({ channels: "news" }, { events: ["sport", "ünï:çø/dé"] });
    const ws = await page.webSocket({ channels: "news" });
    await sse.opened();
    await ws.opened();

    const published = [];
    for (const [event, text] of [
      ["message", "one"],
      ["sport", "two"],
      ["ünï:çø/dé", "three"],
      ["message", "four"],
    ]) {
      published.push({ kind: "message", event, id: await fixture.publish("news", text, { event }), data: text });
    }
    assert.deepEqual(await sse.messages(4), published);
    assert.deepEqual(await ws.messages(4), published);
  });

  test("hears several channels on one connection, in their common order", async ({ fixture, page }) => {
    const query = { channels: "a,b" };
    const sse = await page.eventSource(query, { events: ["a/message", "b/message"] });
    const ws = await page.webSocket(query);
    await sse.opened();
    await ws.opened();

    const published = [];
    for (const channel of ["a", "b", "b", "a", "b"]) {
      published.push({ event: `${channel}/message`, id: await fixture.publish(channel, "x") });
    }
    const brief = (messages) => messages.map(({ event, id }) => ({ event, id }));
    assert.deepEqual(brief(await sse.messages(5)), published);
    assert.deepEqual(brief(await ws.messages(5)), published);
  });

  test("gets a volatile message without an id", async ({ fixture, page }) => {
    const sse = await page.eventSource({ channels: "board" });
    const ws = await page.webSocket({ channels: "board" });
    await sse.opened();
    await ws.opened();

    const logged = await fixture.publish("board", "logged");
    await sse.messages(1);
    await ws.messages(1);
    await fixture.publish("board", "volatile", { as: "volatile" });
    // An EventSource shows the id that it would resume with: still that of the logged message.
    const [, ofSse] = await sse.messages(2);
    assert.deepEqual(ofSse, { kind: "message", event: "message", id: logged, data: "volatile" });
    const [, ofWs] = await ws.messages(2);
    assert.deepEqual(ofWs, { kind: "message", event: "message", id: null, data: "volatile" });
  });

  test("says something by WebSocket or by POST, and all hear it", async ({ page }) => {
    const sse = await page.eventSource({ channels: "room" });
    const ws = await page.webSocket({ channels: "room" });
    await sse.opened();
    await ws.opened();

    await ws.send({ event: "message", data: "by WebSocket", ref: 7 });
    const reply = await ws.notice("reply");
    assert.equal(reply.data.ref, 7);
    const answer = await page.evaluate(async () => {
      const body = JSON.stringify({ event: "message", data: "by POST" });
      const headers = { "Content-Type": "application/json" };
      const response = await fetch("/say?channel=room", { method: "POST", headers, body });
      return { status: response.status, body: await response.json() };
    });
    assert.equal(answer.status, 200);

    const said = [
      { kind: "message", event: "message", id: reply.data.data.id, data: "by WebSocket" },
      { kind: "message", event: "message", id: answer.body.data.id, data: "by POST" },
    ];
    assert.deepEqual(await sse.messages(2), said);
    assert.deepEqual(await ws.messages(2), said);
  });
});
