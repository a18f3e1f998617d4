// Proves the tools of this directory themselves, without anything of Dualcast: that both browsers run here, and that
// the proxy takes the network away from under an open stream.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { launchers } from "./browsers.mjs";
import { startProxy } from "./proxy.mjs";

for (const [name, launch] of Object.entries(launchers)) {
  describe(name, () => {
    let server, proxy, browser, page;

    before(async () => {
      server = createServer(respond).listen(0, "127.0.0.1");
      await once(server, "listening");
      proxy = await startProxy(server.address().port);
      browser = await launch();
      page = await browser.newPage(proxy.url);
    });

    after(async () => {
      await browser?.close();
      await proxy?.close();
      server?.closeAllConnections();
      server?.close();
    });

    it("evaluates a function with its arguments in a page", async () => {
      const greet = async (word, { mark }) => `${word}, ${document.title}${mark}`;
      assert.equal(await page.evaluate(greet, "Hello", { mark: "!" }), "Hello, Fixture!");
    });

    it("passes on an error of the page", async () => {
      await assert.rejects(page.evaluate(() => nothing.here), /nothing/);
    });

    it("reconnects an EventSource that the proxy has cut", async () => {
      await page.evaluate(openStream);
      assert.equal(await page.evaluate(event, 0), "after nothing");
      proxy.cut();
      assert.equal(await page.evaluate(event, 1), "after 7");
    });

    it("leaves an EventSource open and silent in a black hole", async () => {
      proxy.blackhole();
      const open = proxy.count();
      for (const response of streams) response.end("data: into the hole\n\n");
      // There is no event to wait for, so this looks for one for as long as twenty questions take.
      for (let i = 0; i < 20; i++) {
        assert.deepEqual(await page.evaluate(() => [stream.readyState, events.length]), [1, 2]);
      }
      assert.equal(proxy.count(), open);

      proxy.heal();
      proxy.cut();
      assert.equal(await page.evaluate(event, 2), "after 7");
    });
  });
}

const streams = new Set();

/** A page with a title, and a stream whose one event tells which `Last-Event-ID` it was asked for. */
function respond(request, response) {
  if (request.url !== "/events") {
    response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>Fixture</title>");
    return;
  }
  const last = request.headers["last-event-id"] ?? "nothing";
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write(`retry: 10\nid: 7\ndata: after ${last}\n\n`);
  streams.add(response);
  response.on("close", () => streams.delete(response));
}

/** In the page: opens the stream and notes its events. */
function openStream() {
  globalThis.events = [];
  globalThis.stream = new EventSource("/events");
  stream.addEventListener("message", ({ data }) => events.push(data));
}

/** In the page: event number `n` of the stream, counted from 0, once it is there. */
function event(n) {
  return new Promise((resolve) => {
    const look = () => n in events && resolve(events[n]);
    stream.addEventListener("message", look);
    look();
  });
}
