// A server that is full closes what comes without a word. An answer would make an `EventSource` stay away for good; so it comes
// back by itself, as soon as there is room.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { launchers } from "./browsers.mjs";
import { buildFixture, buildTimeout, startFixture } from "./server.mjs";
import { until } from "./until.mjs";

before(buildFixture, { timeout: buildTimeout });

/** How many streams the page opens: as many connections as a browser makes to one site, more than it has to spare. */
const streams = 6;

for (const [name, launch] of Object.entries(launchers)) {
  describe(name, () => {
    let fixture, browser, page;
    const places = [];

    before(async () => {
      fixture = await startFixture({ env: { MAX_CONNECTIONS: "30" } });
      browser = await launch();
      page = await browser.newPage(`${fixture.url}/page`);
    });

    after(async () => {
      for (const place of places) place.destroy();
      await browser?.close();
      await fixture?.stop();
    });

    it("comes back by itself from a server that was full", async () => {
      await fillUp();
      await page.evaluate(open, streams);
      await until(async () => (await states()).some(({ failures }) => failures >= 2), () => "a stream was refused again and again");
      assert.ok((await states()).every(({ state }) => state !== 2), "none has given up");
      for (const place of places) place.destroy();
      await until(async () => (await states()).every(({ state }) => state === 1), () => "all streams are open");
    });

    /** Takes every place that is left, by streams that last. */
    async function fillUp() {
      for (;;) {
        const socket = connect(Number(fixture.port), "127.0.0.1").on("error", () => {});
        socket.write("GET /sse?channels=full HTTP/1.1\r\nhost: a\r\n\r\n");
        const isLetIn = await new Promise((resolve) => {
          socket.once("data", () => resolve(true)).once("close", () => resolve(false));
        });
        if (!isLetIn) return;
        places.push(socket);
      }
    }

    const states = () => page.evaluate(() => window.streams.map(({ source, failures }) => ({ state: source.readyState, failures })));
  });
}

function open(count) {
  window.streams = Array.from({ length: count }, () => {
    const stream = { source: new EventSource("/sse?channels=full"), failures: 0 };
    stream.source.onerror = () => stream.failures++;
    return stream;
  });
}
