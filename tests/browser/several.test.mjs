// Several channels on one EventSource, as docs/guide.md shows it: a browser has six connections to an origin, and no more.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { inEachBrowser } from "./scene.mjs";

const guide = await readFile(new URL("../../docs/guide.md", import.meta.url), "utf8");
const [, section] = guide.split("\n## Several channels on one stream\n");
const [, shown] = section.match(/```js\n([^]*?)```/);

inEachBrowser((test) => {
  test("hears three channels by the lines of the guide, and leaves the rest of the site its connections", async (scene) => {
    const { fixture, network, page } = scene;
    await page.evaluate((lines) => {
      globalThis.told = [];
      globalThis.show = (channel, data) => told.push([channel, data]);
      // As a function, to get hold of its `events`.
      globalThis.source = new Function(`${lines}; return events;`)();
      return new Promise((resolve) => source.addEventListener("dualcast:heartbeat", resolve, { once: true }));
    }, shown);
    const published = [["room.1", "a"], ["news", "b"], ["room.2", "c"], ["room.1", "d"]];
    for (const [channel, text] of published) await fixture.publish(channel, text);
    const hear = (count) =>
      page.evaluate(async (count) => {
        while (told.length < count) await new Promise((resolve) => setTimeout(resolve, 10));
        return told;
      }, count);
    assert.deepEqual(await hear(4), published);
    assert.equal((await fixture.state()).sessions, 1);

    // What comes while it is away comes in order, too, from all of them.
    network.refuse();
    const missed = [["room.2", "e"], ["room.1", "f"], ["news", "g"]];
    for (const [channel, text] of missed) await fixture.publish(channel, text);
    network.heal();
    assert.deepEqual(await hear(7), [...published, ...missed]);

    await page.evaluate(() => source.close());
  });

  test("waits without a word with a seventh stream, which one for all of them doesn't", async ({ fixture, page }) => {
    const seven = Array.from({ length: 7 }, (_, index) => `c${index}`);
    const sources = [];
    for (const channels of seven.slice(0, 6)) {
      const source = await page.eventSource({ channels });
      await source.opened();
      sources.push(source);
    }
    const seventh = await page.eventSource({ channels: seven[6] });
    // Long enough for six others to open; what doesn't happen can't be waited for.
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.deepEqual(await seventh.heard(), [], "neither `open` nor `error`");
    assert.equal((await fixture.state()).sessions, 6);
    await sources[0].close();
    await seventh.opened();
    for (const source of [...sources, seventh]) await source.close();

    const all = await page.eventSource({ channels: seven.join() }, { events: seven.map((name) => `${name}/message`) });
    await all.opened();
    for (const name of seven) await fixture.publish(name, name);
    assert.deepEqual((await all.messages(7)).map(({ data }) => data), seven);
  });
});
