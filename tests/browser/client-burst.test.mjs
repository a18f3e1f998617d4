// Ten thousand messages in one burst: Dualcast's own client gives each to the page once and in order, also where it is cut in
// their midst; and where the log keeps fewer than it missed, the gaps say exactly which.

import assert from "node:assert/strict";
import { openLivePage } from "./live.mjs";
import { inEachBrowser } from "./scene.mjs";

const burst = 10_000;
const numbers = Array.from({ length: burst }, (_, index) => String(index + 1));
const eager = { minDelay: 100, maxDelay: 300 };

inEachBrowser((test) => {
  for (const transport of ["ws", "sse"]) {
    test(`gives a burst to the page, each message once and in order, on ${transport}`, async ({ fixture, page }) => {
      const live = await page.connect("/live?channels=long.news", { transport, ...eager });
      await live.opened();
      await fixture.publishBurst("long.news", burst);
      await fixture.publish("long.news", "after");
      assert.deepEqual(await live.story(burst + 1), [...numbers, "after"]);
      assert.equal((await fixture.requests("/live")).length, 1, "by one connection");
    });

    test(`goes on in the midst of a burst where it was cut on ${transport}`, async ({ fixture, network, page }) => {
      // So that none is left by which the page came: the client might come back by one, and be cut once more.
      network.cut();
      const live = await page.connect("/live?channels=long.news", { transport, ...eager });
      await live.opened();
      // Some thousand of them, and a part of the next.
      network.cutAfter(150_000);
      await fixture.publishBurst("long.news", burst);
      await live.told("recovered");
      await fixture.publish("long.news", "after");
      const story = await live.story(burst + 2);
      assert.deepEqual(story.filter((told) => typeof told === "string"), [...numbers, "after"]);
      const others = story.filter((told) => typeof told !== "string");
      assert.equal(others.length, 1);
      const [{ recovered }] = others;
      assert.ok(recovered > 0 && recovered < burst, `${recovered} of them`);
    });

    test(`says which of a burst it missed where the log keeps fewer on ${transport}`, async (scene) => {
      const { fixture, network, page } = scene;
      const live = await page.connect("/live?channels=news", { transport, ...eager });
      await live.opened();
      network.refuse();
      await live.told("state", { status: "waiting" });
      await fixture.publishBurst("news", burst);
      network.heal();
      await live.told("gap");
      await fixture.publish("news", "after");
      await live.told("message", { data: "after" });
      // What it heard and what it was told to miss is all there is, without a seam and without an overlap.
      const number = (id) => Number(id.split("-")[1]);
      let at = 0;
      for (const { kind, id, from, to } of await live.heard()) {
        if (kind === "message") assert.equal(number(id), at + 1);
        if (kind === "gap") assert.equal(number(from), at);
        if (kind === "message") at = number(id);
        if (kind === "gap") at = number(to);
      }
      assert.equal(at, burst + 1);
      assert.deepEqual((await live.heard()).filter(({ kind }) => kind === "recovered"), []);
    });
  }
}, openLivePage);
