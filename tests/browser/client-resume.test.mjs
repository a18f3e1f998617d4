// Dualcast's own client comes back by itself, whatever became of its connection: with every message once and in order, and a
// word to the page that it has all again, or what it has not.

import assert from "node:assert/strict";
import { openLivePage } from "./live.mjs";
import { inEachBrowser } from "./scene.mjs";

const transports = ["ws", "sse"];

inEachBrowser((test) => {
  for (const transport of transports) {
    test(`comes back after a cut on ${transport}, and has all again`, async ({ fixture, network, page }) => {
      const live = await page.connect("/live?channels=news&heartbeat=200", { transport });
      await live.opened();
      const ids = await fixture.publishAll("news", ["1", "2"]);
      await live.messages(2);

      network.refuse();
      await live.told("state", { status: "waiting" });
      ids.push(...(await fixture.publishAll("news", ["3", "4", "5"])));
      network.heal();
      const recovered = await live.told("recovered");
      assert.deepEqual(recovered, { kind: "recovered", count: 3, transport });
      ids.push(await fixture.publish("news", "6"));
      const messages = await live.messages(6);
      assert.deepEqual(messages.map(({ data, id }) => [data, id]), ["1", "2", "3", "4", "5", "6"].map((text, at) => [text, ids[at]]));
      assert.equal(await live.cursor(), ids.at(-1));
    });
  }
}, openLivePage);
