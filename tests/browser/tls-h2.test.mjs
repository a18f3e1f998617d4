// `examples/tls-h2`: a page with more streams than a browser opens connections to one site.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launchers } from "./browsers.mjs";
import { buildExample, buildTimeout, startExample } from "./server.mjs";
import { until } from "./until.mjs";

before(() => buildExample("tls-h2"), { timeout: buildTimeout });

for (const [name, launch] of Object.entries(launchers)) {
  describe(name, () => {
    let server, browser, page;

    before(async () => {
      server = await startExample("tls-h2");
      browser = await launch();
      page = await browser.newPage(server.url);
    });

    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    it("has twelve event streams and a WebSocket open at once, over HTTP/2", async () => {
      const shown = (id) => page.evaluate((id) => document.getElementById(id).textContent, id);
      const ticks = () =>
        page.evaluate(() => [...document.querySelectorAll("#clocks li")].map((clock) => Number(clock.dataset.ticks ?? 0)));
      await until(async () => {
        const all = await ticks();
        return all.length === 12 && all.every((count) => count >= 2);
      }, async () => "all of the twelve clocks tick");
      assert.equal(await shown("page-version"), "h2");
      await until(async () => (await shown("socket-version")) !== "…", () => "the WebSocket has said what it came over");
      assert.equal(await shown("socket-version"), "HTTP/2.0");
    });

    it("answers requests beside them, and opens more streams", async () => {
      const opened = await page.evaluate(async () => {
        const more = Array.from({ length: 20 }, () => new EventSource("/clocks/1"));
        const opened = (source) => new Promise((resolve, reject) => Object.assign(source, { onopen: resolve, onerror: reject }));
        await Promise.all(more.map(opened));
        const { status } = await fetch("/");
        const open = more.filter(({ readyState }) => readyState === EventSource.OPEN).length;
        for (const source of more) source.close();
        return { open, status };
      });
      assert.deepEqual(opened, { open: 20, status: 200 });
    });

    it("leaves when it is told to, with all of them open", async () => {
      assert.deepEqual(await server.stop("SIGINT"), { code: 0, signal: null });
      server = undefined;
    });
  });
}
