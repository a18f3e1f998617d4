// Makes the README's screenshots of `examples/side-by-side`, light and dark: `node screenshot.mjs`, or `just screenshot`.
//
// They show what a person would have seen: pane B left while the log was trimmed, pane C had its WebSocket taken away, pane A was cut, and
// notes were sent.

import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { launchChromium } from "./browsers.mjs";
import { startExample } from "./server.mjs";
import { openSideBySide } from "./side-by-side.mjs";

const server = await startExample("side-by-side");
const browser = await launchChromium();
try {
  for (const [name, isDark] of [
    ["side-by-side", false],
    ["side-by-side-dark", true],
  ]) {
    const page = await openSideBySide(browser, server.url, { width: 1280, height: 1120, isDark });
    // So that the plot has something to show.
    await sleep(30_000);
    await page.b.press("trim");
    await page.b.shows("verdict", /^gap: \d+ messages/);
    await sleep(2_000);
    await page.c.press("upgrades");
    await page.c.event("recovered", /^all is there again/);
    await sleep(3_000);
    // Until it was away long enough to miss a few.
    do {
      await page.a.press("cut");
      await page.a.shows("verdict", /^the connection is lost/);
      await page.a.shows("verdict", /^reconnected after/);
    } while (!/, [2-9] messages replayed/.test(await page.a.text("verdict")));
    for (const [pane, where] of [
      [page.b, "the middle"],
      [page.c, "the right"],
      [page.a, "the left"],
    ]) {
      await pane.say(`Hello from ${where}`);
      await pane.shows("answer", /^Sent/);
      await sleep(300);
    }
    await sleep(600);
    await page.page.screenshot(fileURLToPath(new URL(`../../docs/${name}.png`, import.meta.url)));
    await page.close();
  }
} finally {
  await browser.close();
  await server.stop();
}
