// What a test in a browser has to itself: a fixture, a network to take away from it, and a page. And the browsers to
// run it in.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launchers } from "./browsers.mjs";
import { openPage } from "./clients.mjs";
import { startProxy } from "./proxy.mjs";
import { buildFixture, buildTimeout, startFixture } from "./server.mjs";

/** How long one test may take, in milliseconds. Its own waits end sooner, and say what they waited for. */
const testTimeout = 60_000;

/**
 * Runs tests in each browser. `define` gets a function like `it`, whose tests get a scene:
 *
 *     inEachBrowser((test) => {
 *       test("does this and that", async ({ fixture, network, page }) => { … });
 *     });
 *
 * `open` opens the page: one with the browser's own clients in it, unless it is `openLivePage`. `browsers` are all, unless they are
 * `ownLaunchers`.
 */
export function inEachBrowser(define, open = openPage, browsers = launchers) {
  for (const [name, launch] of Object.entries(browsers)) {
    describe(name, () => {
      let browser;
      before(buildFixture, { timeout: buildTimeout });
      before(async () => (browser = await launch()), { timeout: testTimeout });
      after(async () => browser?.close(), { timeout: testTimeout });

      define((title, body) => it(title, { timeout: testTimeout }, async () => play(browser, body, open)));
    });
  }
}

async function play(browser, body, open) {
  const scene = { browser, isFirefox: browser.name === "firefox" };
  try {
    scene.fixture = await startFixture();
    scene.network = await startProxy(scene.fixture.port);
    scene.page = await open(browser, scene.network.url);
    await body(scene);
    // Whatever the test did to its clients, the server has to let go of them, and to end in good order.
    await scene.page.close();
    await scene.fixture.idle();
    assert.deepEqual(await scene.fixture.stop(), { code: 0, signal: null });
  } finally {
    await scene.page?.close();
    await scene.network?.close();
    await scene.fixture?.stop();
  }
}
