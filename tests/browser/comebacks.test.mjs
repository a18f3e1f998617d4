// What an `EventSource` does while nobody listens where its stream was, as docs/comparison.md says: it tries again and again, and is back. Firefox
// does so with a stream of the page's own origin alone. (`compare.mjs` measures how long it waits.)

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launchers } from "./browsers.mjs";
import { until } from "./until.mjs";
import { startBareStream } from "./watched-stream.mjs";

const timeout = 60_000;
const [OPEN, CLOSED] = [1, 2]; // EventSource.OPEN, EventSource.CLOSED

for (const [name, launch] of Object.entries(launchers)) {
  describe(name, () => {
    let browser, streams, page;
    before(async () => (browser = await launch()), { timeout });
    before(async () => {
      streams = [await startBareStream("retry: 500\n\n"), await startBareStream("retry: 500\n\n")];
      page = await browser.newPage(streams[0].page);
    }, { timeout });
    after(async () => {
      await browser?.close();
      for (const stream of streams ?? []) await stream.close();
    });

    it("comes back to a server that was away, or has given up, as documented", { timeout }, async () => {
      await page.evaluate((urls) => {
        globalThis.followed = urls.map((url) => {
          const stream = { source: new EventSource(url), failures: 0 };
          stream.source.onerror = () => stream.failures++;
          return stream;
        });
      }, streams.map(({ url }) => url));
      const looks = () => page.evaluate(() => followed.map(({ source, failures }) => ({ state: source.readyState, failures })));
      const both = (isSo, what) => until(async () => (await looks()).every(isSo), async () => what);
      await both(({ state }) => state === OPEN, "both are open");

      for (const stream of streams) await stream.goAway();
      await both(({ state, failures }) => failures >= 3 || state === CLOSED, "each has tried again, or given up");
      const [own, other] = await looks();
      assert.notEqual(own.state, CLOSED);
      assert.equal(other.state === CLOSED, name === "firefox");

      for (const stream of streams) await stream.comeBack();
      await both(({ state }, index) => state === OPEN || (index === 1 && name === "firefox"), "who has not given up is back");
      assert.equal((await looks())[1].state === CLOSED, name === "firefox");
    });
  });
}
