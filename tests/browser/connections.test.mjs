// How many streams of one origin a browser opens, as docs/comparison.md says: six over HTTP/1.1 in all of its tabs together, beside which
// requests wait. WebSockets that are open are not among them. (`compare.mjs` measures it, and over HTTP/2; so does `tls-h2.test.mjs`.)

import assert from "node:assert/strict";
import { ClientPage } from "./clients.mjs";
import { inEachBrowser } from "./scene.mjs";
import { until } from "./until.mjs";

const sixOverHttp1 = 6;

inEachBrowser((test) => {
  test("opens six event streams in two tabs together, beside twenty WebSockets, and no request", async (scene) => {
    const { fixture, network, page, isFirefox } = scene;
    const openTab = async () => {
      const tab = new ClientPage(await page.tab.newTab(`${network.url}/page`));
      await tab.prepare();
      return tab;
    };
    const sockets = [];
    for (let number = 0; number < 20; number++) sockets.push(await page.webSocket({ channels: "news" }));
    for (const socket of sockets) await socket.opened();

    const second = await openTab();
    const streams = [];
    for (const tab of [page, second]) {
      for (let number = 0; number < 4; number++) streams.push(await tab.eventSource({ channels: "news" }));
      // Before the other tab asks for any, so that it is the last two of all that wait.
      if (tab === page) for (const stream of streams) await stream.opened();
    }
    const sessions = async () => (await fixture.state()).sessions;
    await until(async () => (await sessions()) === sockets.length + sixOverHttp1, () => "six of the eight are open");
    await page.evaluate(() => {
      globalThis.isAnswered = false;
      fetch("/state").then(() => (globalThis.isAnswered = true));
    });
    const socket = await page.webSocket({ channels: "news" });

    // Each browser lets something past. By the time that it is there, what could be opened would be, too.
    const passed = isFirefox ? await openTab() : undefined;
    if (!isFirefox) await socket.opened();
    await fixture.publish("news", "to all");
    for (const socket of sockets) await socket.messages(1);
    assert.equal(await sessions(), sockets.length + sixOverHttp1 + (isFirefox ? 0 : 1));
    assert.equal(await page.evaluate(() => isAnswered), false);
    if (isFirefox) assert.deepEqual(await socket.heard(), [], "its handshake is a request");

    // Who waits is told nothing, and takes the place that becomes free.
    const waiting = streams.slice(sixOverHttp1);
    for (const stream of waiting) assert.deepEqual(await stream.heard(), []);
    for (const stream of streams.slice(0, sixOverHttp1)) await stream.close();
    for (const stream of waiting) await stream.opened();
    await socket.opened();
    await until(() => page.evaluate(() => isAnswered), () => "the request is answered");
    await passed?.close();
    await second.close();
  });
});
