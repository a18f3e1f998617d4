// What clients in a page lack, or have twice, whose connections are cut while somebody publishes all the time.

import { setTimeout as sleep } from "node:timers/promises";
import { openLivePage } from "./live.mjs";
import { startProxy } from "./proxy.mjs";
import { startFixture } from "./server.mjs";
import { until } from "./until.mjs";

/** How often all of them are cut. */
const cuts = 3;

/** How long they are left alone before each cut, in milliseconds. */
const calm = 500;

/** How long a client may take to come back, in milliseconds. */
const patience = 30_000;

/** Answers `{ client, published, lost, doubled }` of each client: the browser's own, and Dualcast's by either transport. */
export async function countLosses(browser) {
  const fixture = await startFixture();
  const network = await startProxy(fixture.port);
  const page = await openLivePage(browser, network.url);
  try {
    const source = await page.eventSource({ channels: "news" });
    await page.evaluate(keepWebSocket, "/ws?channels=news");
    const live = [];
    for (const transport of ["sse", "ws"]) live.push(await page.connect("/live?channels=news", { transport }));
    for (const client of [source, ...live]) await client.opened();
    await until(() => page.evaluate(() => bare.socket.readyState === WebSocket.OPEN), () => "the WebSocket is open");

    const clients = {
      "event-source": async () => (await source.heard()).filter(({ kind }) => kind === "message").map(({ data }) => data),
      "web-socket": () => page.evaluate(() => bare.heard),
      "dualcast-sse": () => live[0].data(0),
      "dualcast-ws": () => live[1].data(0),
    };
    const haveHeard = async (id) => {
      for (const [name, heard] of Object.entries(clients)) {
        await until(async () => Number((await heard()).at(-1)) >= id, () => `${name} has heard ${id}`, patience);
      }
    };

    const publishing = fixture.keepPublishing("news");
    await haveHeard(1);
    // Each has come back once it hears what is published now.
    for (let cut = 0; cut < cuts; cut++) {
      await sleep(calm);
      network.cut();
      const last = Math.max(...(await Promise.all(Object.values(clients).map((heard) => heard()))).map((heard) => Number(heard.at(-1))));
      await haveHeard(last + 1);
    }
    const published = (await publishing.stop()).length;
    await haveHeard(published);
    const found = Object.entries(clients).map(async ([client, heard]) => {
      const all = await heard();
      const once = new Set(all).size;
      return { client, published, lost: published - once, doubled: all.length - once };
    });
    return await Promise.all(found);
  } finally {
    await page.close();
    await network.close();
    await fixture.stop();
  }
}

/** In the page: a WebSocket with nothing around it, but another a second after it has closed. */
function keepWebSocket(path) {
  globalThis.bare = { heard: [] };
  const open = () => {
    bare.socket = new WebSocket(`ws://${location.host}${path}`);
    bare.socket.onmessage = ({ data }) => {
      const { control, data: text } = JSON.parse(data);
      if (!control) bare.heard.push(text);
    };
    bare.socket.onclose = () => setTimeout(open, 1_000);
  };
  open();
}
