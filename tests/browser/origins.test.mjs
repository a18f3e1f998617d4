// A page of another origin can't listen and can't speak, unless it is listed: a browser sends its user's cookies along,
// whichever page asks.

import assert from "node:assert/strict";
import { openPage } from "./clients.mjs";
import { startProxy } from "./proxy.mjs";
import { inEachBrowser } from "./scene.mjs";
import { startFixture } from "./server.mjs";

const CLOSED = 2; // EventSource.CLOSED

inEachBrowser((test) => {
  for (const [what, urlOf] of [
    ["another port", ({ port }) => `http://127.0.0.1:${port}`],
    ["another host", ({ port }) => `http://localhost:${port}`],
  ]) {
    test(`turns away a page of ${what}`, async ({ browser, fixture }) => {
      const stranger = await startProxy(fixture.port);
      const origin = urlOf(stranger);
      const page = await openPage(browser, origin);
      try {
        await cannotConnect(page, fixture, origin);
        await cannotFetch(page, fixture);
        await cannotSpeak(page, fixture);
      } finally {
        await page.close();
        await stranger.close();
      }
    });
  }

  test("turns away a sandboxed frame of its own page", async ({ fixture, page }) => {
    const opened = await page.evaluate(
      () =>
        new Promise((resolve) => {
          const frame = document.createElement("iframe");
          frame.sandbox = "allow-scripts";
          frame.srcdoc = `<script>
            const socket = new WebSocket("ws://${location.host}/ws?channels=news");
            socket.onopen = () => parent.postMessage(true, "*");
            socket.onclose = () => parent.postMessage(false, "*");
          </script>`;
          addEventListener("message", ({ data }) => resolve(data));
          document.body.append(frame);
        }),
    );
    assert.equal(opened, false);
    const [refused] = await fixture.requests("/ws");
    assert.deepEqual([refused.origin, refused.status], ["null", 403]);
  });

  test("lets a listed page listen with the user's cookies, and come back", async ({ network, page }) => {
    await besides({ CORS: network.url }, async (other) => {
      await page.evaluate(() => (document.cookie = "user=ann"));
      const link = await startProxy(other.port);
      try {
        const sse = await page.eventSource({ channels: "news" }, { at: link.url, withCredentials: true });
        await sse.opened();
        const first = await other.publish("news", "first");
        await sse.messages(1);
        link.cut();
        const second = await other.publish("news", "second");
        const heard = await sse.messages(2);
        assert.deepEqual(heard.map(({ id, data }) => [id, data]), [[first, "first"], [second, "second"]]);
        const requests = await other.requests("/sse");
        const streams = requests.filter(({ method }) => method === "GET");
        assert.deepEqual(
          streams.map(({ origin, cookie, lastEventId, status }) => [origin, cookie, lastEventId, status]),
          [
            [network.url, "user=ann", null, 200],
            [network.url, "user=ann", first, 200],
          ],
        );
        await sse.close();
      } finally {
        await link.close();
      }
    });
  });

  test("lets a listed page fetch with a token and a cursor, and post JSON", async ({ network, page }) => {
    await besides({ CORS: network.url }, async (other) => {
      const [first] = await other.publishAll("news", ["first", "second"]);
      const stream = `${other.url}/sse?channels=news`;
      assert.match(await page.evaluate(fetchUntil, stream, first, "second"), /data: second/);
      const requests = await other.requests("/sse");
      assert.deepEqual(
        requests.map(({ method, authorization, lastEventId, status }) => [method, authorization, lastEventId, status]),
        [
          ["OPTIONS", null, null, 204],
          ["GET", "Bearer secret", first, 200],
        ],
      );
      const reply = await page.evaluate(post, `${other.url}/say?channel=news`, { event: "message", data: "mine" });
      assert.deepEqual([reply.status, reply.body.control], [200, "reply"]);
      const refused = await page.evaluate(post, `${other.url}/say?channel=news`, {});
      assert.deepEqual([refused.status, refused.body.code], [400, "bad-message"], "it reads errors, too");
    });
  });

  test("shows a page that is not listed nothing", async ({ page }) => {
    await besides({ CORS: "https://app.example" }, async (other) => {
      const { head } = await other.state();
      const sse = await page.eventSource({ channels: "news" }, { at: other.url, withCredentials: true });
      await sse.connection("error", { data: CLOSED });
      const stream = `${other.url}/sse?channels=news`;
      await assert.rejects(page.evaluate(fetchUntil, stream, head, "anything"));
      await assert.rejects(page.evaluate(post, `${other.url}/say?channel=news`, { event: "message" }));
      const requests = [...(await other.requests("/sse")), ...(await other.requests("/say"))];
      assert.deepEqual(requests.map(({ status }) => status), [403, 403, 403]);
      assert.equal((await other.state()).head, head);
    });
  });

  test("shows a page that may connect nothing without the layer", async ({ network, page }) => {
    await besides({ ORIGINS: network.url }, async (other) => {
      const ws = await page.webSocket({ channels: "news" }, { at: other.url });
      await ws.opened();
      const sse = await page.eventSource({ channels: "news" }, { at: other.url });
      await sse.connection("error", { data: CLOSED });
      const heard = await sse.heard();
      assert.deepEqual(heard.filter(({ kind }) => kind !== "connection"), []);
      await assert.rejects(page.evaluate(post, `${other.url}/say?channel=news`, { event: "message" }));
      await ws.close();
    });
  });
});

/** Runs beside the page's own fixture one of another origin, with these lists in its environment. */
async function besides(env, body) {
  const other = await startFixture({ env });
  try {
    await body(other);
    await other.idle();
    assert.deepEqual(await other.stop(), { code: 0, signal: null });
  } finally {
    await other.stop();
  }
}

/** In the page: reads a stream as clients do that are no EventSource, until it has said `end`. */
async function fetchUntil(url, cursor, end) {
  const abort = new AbortController();
  const headers = { Authorization: "Bearer secret", "Last-Event-ID": cursor };
  const response = await fetch(url, { headers, credentials: "include", signal: abort.signal });
  const decoder = new TextDecoder();
  let heard = "";
  for (const reader = response.body.getReader(); !heard.includes(end); ) {
    const { value, done } = await reader.read();
    if (done) break;
    heard += decoder.decode(value, { stream: true });
  }
  abort.abort();
  return heard;
}

/** In the page: the companion POST. */
async function post(url, message) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, credentials: "include", body: JSON.stringify(message) });
  return { status: response.status, body: await response.json() };
}

/** Neither EventSource nor WebSocket. */
async function cannotConnect(page, fixture, origin) {
  const sse = await page.eventSource({ channels: "news" }, { at: fixture.url });
  const ws = await page.webSocket({ channels: "news" }, { at: fixture.url });
  await sse.connection("error", { data: CLOSED });
  assert.equal((await ws.connection("close")).data.code, 1006);
  for (const client of [sse, ws]) {
    const heard = await client.heard();
    assert.deepEqual(heard.filter(({ kind, event }) => kind !== "connection" || event === "open"), []);
  }
  for (const path of ["/sse", "/ws"]) {
    const requests = await fixture.requests(path);
    assert.deepEqual(requests.map((request) => [request.origin, request.status]), [[origin, 403]]);
  }
}

/** Not even in the way that sends no `Origin` and shows the page no answer. */
async function cannotFetch(page, fixture) {
  const listen = async (url) => (await fetch(url, { mode: "no-cors" })).type;
  assert.equal(await page.evaluate(listen, `${fixture.url}/sse?channels=news`), "opaque");
  const request = (await fixture.requests("/sse")).at(-1);
  assert.deepEqual([request.origin, request.status], [null, 403]);
}

/** Neither with JSON, for which the browser asks first, nor with what it takes for a form. */
async function cannotSpeak(page, fixture) {
  const { head } = await fixture.state();
  const send = async (url, mode, type) => {
    const body = JSON.stringify({ event: "message", data: "x" });
    const headers = { "Content-Type": type };
    return fetch(url, { method: "POST", mode, headers, body }).then(
      ({ type }) => type,
      () => "refused",
    );
  };
  const url = `${fixture.url}/say?channel=news`;
  assert.equal(await page.evaluate(send, url, "cors", "application/json"), "refused");
  assert.equal(await page.evaluate(send, url, "cors", "text/plain"), "refused");
  assert.equal(await page.evaluate(send, url, "no-cors", "text/plain"), "opaque");
  const posts = (await fixture.requests("/say")).filter(({ method }) => method === "POST");
  assert.deepEqual(posts.map(({ status }) => status), [403, 403]);
  assert.equal((await fixture.state()).head, head);
}
