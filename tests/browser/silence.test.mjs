// A network that goes away without a word: the lines of docs/guide.md notice it, and miss nothing.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { inEachBrowser } from "./scene.mjs";

const guide = await readFile(new URL("../../docs/guide.md", import.meta.url), "utf8");
const [, section] = guide.split("\n## A stream that fell silent\n");
const [, shown] = section.match(/```js\n([^]*?)```/);
/** Twice that is a silence, in which another stream opens, however busy the machine is. */
const lines = shown.replace("/sse?channels=news", "/sse?channels=news&heartbeat=2000");

inEachBrowser((test) => {
  test("notices by the heartbeats that a stream fell silent, and goes on with its last id", async (scene) => {
    const { fixture, network, page } = scene;
    await page.evaluate((lines) => {
      globalThis.told = [];
      globalThis.show = (data) => told.push(data);
      globalThis.stop = new Function(`${lines}; return () => { clearTimeout(timer); events.close(); };`)();
    }, lines);
    const hear = (count) =>
      page.evaluate(async (count) => {
        while (told.length < count) await new Promise((resolve) => setTimeout(resolve, 10));
        return told;
      }, count);
    await followed(fixture);
    await fixture.publish("news", "before");
    assert.deepEqual(await hear(1), ["before"]);

    network.blackhole();
    await fixture.publishAll("news", ["missed", "missed too"]);
    network.heal();
    // What went silent stays so: only a page that opens another stream hears them.
    await hear(3);
    await fixture.publish("news", "after");
    assert.deepEqual(await hear(4), ["before", "missed", "missed too", "after"]);
    await page.evaluate(() => stop());
    network.cut();
  });
});

async function followed(fixture) {
  while ((await fixture.state("news")).followers.news === 0) await new Promise((resolve) => setTimeout(resolve, 10));
}
