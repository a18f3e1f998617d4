// Runs the lines that docs/migrating.md shows for pages, in their order, on `examples/migrating`, while somebody publishes without a pause:
// whatever a page hears by, it shows each note once, in order.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { launchers } from "./browsers.mjs";
import { startProxy } from "./proxy.mjs";
import { buildExample, buildTimeout, startExample } from "./server.mjs";
import { until } from "./until.mjs";

const timeout = 60_000;
const document = await readFile(new URL("../../docs/migrating.md", import.meta.url), "utf8");
const [bySocket, byStream, byPost, bySocketAgain, byClient] = [...document.matchAll(/^```js\n([^]*?)```$/gm)].map(([, code]) => code);

before(() => buildExample("migrating"), { timeout: buildTimeout });

for (const [name, launch] of Object.entries(launchers)) {
  describe(`docs/migrating.md, with ${name}`, () => {
    let server, network, browser, page;
    before(async () => {
      browser = await launch();
      server = await startExample("migrating");
      network = await startProxy(server.port);
    }, { timeout });
    after(async () => {
      await browser?.close();
      await network?.close();
      await server?.stop();
    });

    it("moves a bare page there and back, and it misses nothing", { timeout }, async () => {
      await open();
      await run(bySocket);
      await until(() => page.evaluate(() => last !== ""), () => "the WebSocket has said where it begins");
      const publishing = publish();
      await shown(20);
      await run(byStream);
      await shown(20);
      await run(byPost);
      assert.match(await page.evaluate(async () => (await say("note", "by POST")).id), /^[a-z0-9-]+$/);
      const refused = await page.evaluate(async () => say("unheard-of", "by POST").catch(({ code }) => code));
      assert.equal(refused, "unknown-event");
      await run(bySocketAgain);
      await shown(20);
      network.cut();
      await shown(20);
      await isWhole(await publishing.stop());
    });

    it("moves the client to and fro, and it misses nothing", { timeout }, async () => {
      await open();
      await run(`${byClient}\nObject.assign(globalThis, { move, state: () => live.state });`, "module");
      const isOpen = (transport) =>
        until(
          () => page.evaluate((transport) => globalThis.state?.().status === "open" && state().transport === transport, transport),
          () => `it is open by ${transport}`,
        );
      await isOpen("ws");
      const publishing = publish();
      await shown(20);
      for (const transport of ["sse", "ws", "sse"]) {
        await page.evaluate((transport) => move(transport), transport);
        await isOpen(transport);
        await shown(20);
      }
      await isWhole(await publishing.stop());
    });

    async function open() {
      await page?.close();
      page = await browser.newPage(network.url);
      await page.evaluate(() => {
        globalThis.notes = [];
        globalThis.gaps = 0;
        globalThis.show = (event, note) => notes.push(note);
        globalThis.readAnew = () => gaps++;
      });
    }

    /** Has the page run these lines as a script of its own, in which what one declares the next can see. */
    async function run(lines, type = "text/javascript") {
      await page.evaluate((lines, type) => {
        document.head.append(Object.assign(document.createElement("script"), { type, textContent: lines }));
      }, lines, type);
    }

    /** Waits for so many more notes. */
    async function shown(more) {
      const count = () => page.evaluate(() => notes.length);
      const wanted = (await count()) + more;
      await until(async () => (await count()) >= wanted, () => `${more} notes more are shown`);
    }

    /** Numbers, one after the other, until it is stopped. Then it answers how many. */
    function publish() {
      let isStopped = false;
      const published = (async () => {
        let count = 0;
        for (; !isStopped; await sleep(5)) {
          const body = JSON.stringify({ event: "note", data: String(count + 1) });
          const headers = { "content-type": "application/json" };
          const { ok } = await fetch(`${server.url}/event-stream`, { method: "POST", headers, body });
          assert.ok(ok);
          count++;
        }
        return count;
      })();
      published.catch(() => {});
      return {
        stop() {
          isStopped = true;
          return published;
        },
      };
    }

    /** All of the numbers are shown in their order, each once, and no gap was told. */
    async function isWhole(count) {
      const numbers = Array.from({ length: count }, (_, index) => String(index + 1));
      const inPage = () => page.evaluate(() => notes.filter((note) => note !== "by POST"));
      await until(async () => (await inPage()).length >= count, () => `all of ${count} are shown`);
      assert.deepEqual(await inPage(), numbers);
      assert.equal(await page.evaluate(() => gaps), 0);
    }
  });
}
