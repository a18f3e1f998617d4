// A page of another origin can't listen and can't speak: a browser sends its user's cookies along, whichever page asks.

import assert from "node:assert/strict";
import { openPage } from "./clients.mjs";
import { startProxy } from "./proxy.mjs";
import { inEachBrowser } from "./scene.mjs";

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
});

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
