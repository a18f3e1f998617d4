// Drives `examples/side-by-side` through all that it has buttons for, and holds it to what it shows then.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findHindrances } from "./axe.mjs";
import { startExample } from "./server.mjs";
import { inSideBySide, openSideBySide, testTimeout } from "./side-by-side.mjs";
import { until } from "./until.mjs";

inSideBySide("side-by-side", (test) => {
  test("shows one channel over both transports and by the client, with the same ids", async (page) => {
    assert.equal(await page.a.text("title"), "Server-Sent Events");
    assert.equal(await page.b.text("title"), "WebSocket");
    assert.equal(await page.c.text("title"), "Dualcast’s client");
    for (const pane of page.panes) {
      await pane.shows("messages", /^[5-9]$|\d\d/);
      await pane.shows("rate", /^[1-9]/);
      await pane.shows("p50", /^[\d.]+ m?s$/);
      await pane.shows("p95", /^[\d.]+ m?s$/);
      await pane.shows("bytes", /^\d{3}$/);
      await pane.shows("state", /^last (sign of life|message) \d+\.\d s ago$/);
      await until(() => pane.isAtNewest(), () => "the cursor is the newest id");
      await until(() => pane.isPlotted(), () => "latencies are plotted");
    }
    const shown = await Promise.all(page.panes.map((pane) => pane.events()));
    const [a, b, c] = shown.map((events) => events.filter(({ event }) => event === "machine"));
    const common = a.filter(({ id }) => [b, c].every((events) => events.some((event) => event.id === id)));
    assert.ok(common.length >= 3, "all show the same ids");
    for (const event of common) for (const events of [b, c]) assert.deepEqual(events.find(({ id }) => id === event.id), event);
    await page.a.shows("tells", /^OPEN$/);
    await page.b.shows("tells", /^OPEN$/);
    await page.c.shows("tells", /^open over WebSocket, the best that works here; unsent: 0$/);

    const machine = await page.machine();
    assert.match(machine.cpu, /^\d+ %$/);
    assert.match(machine.memory, /^[\d.]+ [MGT]B of [\d.]+ [MGT]B$/);
    assert.match(machine.load, /^\d+\.\d\d$/);
    assert.match(machine.received, /B\/s$/);
    assert.match(machine.sent, /B\/s$/);
    assert.deepEqual(page.page.complaints, []);
  });

  test("comes back after a cut with what it missed", async (page) => {
    for (const pane of page.panes) await pane.press("cut");
    for (const pane of page.panes) {
      await pane.shows("verdict", /^reconnected after [\d.]+ s, (\d+ messages?|nothing) (to replay|replayed), none lost$/);
      assert.equal(await pane.text("reconnects"), "1");
      assert.equal(await pane.text("gaps"), "0");
    }
    // The client says so by itself; the others have nothing to say of it.
    const { id } = await page.c.event("recovered", /^all is there again: \d+ messages?$/);
    await until(async () => (await page.a.events()).some((event) => event.id === id), () => "it stands behind a message");
    assert.ok((await page.c.number("recovered")) >= 0);
    for (const pane of [page.a, page.b]) assert.equal(await pane.text("recovered"), "–");
  });

  test("shows a burst of a thousand", async (page) => {
    const before = await Promise.all(page.panes.map((pane) => pane.number("messages")));
    await page.press("burst");
    for (const [i, pane] of page.panes.entries()) {
      await pane.shows("verdict", /^burst: 1,000 messages in [\d.]+ s, none lost$/);
      const count = (await pane.number("messages")) - before[i];
      assert.ok(count >= 1_000, `${count} messages`);
      await pane.event("burst", /^1,000 of 1,000$/);
      assert.ok((await pane.events()).length <= 200, "the list has an end");
    }
  });

  test("is told of a gap when the log was trimmed under it, and the other panes are not", async (page) => {
    for (const pane of [page.a, page.c]) {
      await pane.press("trim");
      const [, count] = await pane.shows("verdict", /^gap: (\d+) messages, trimmed$/);
      assert.ok(count >= 40, `${count} messages`);
      assert.equal(await pane.tone(), "gap");
      await pane.event("gap", /trimmed/);
      assert.equal(await pane.text("gaps"), "1");
      assert.equal(await page.b.text("gaps"), "0");
      // Whoever was away on purpose has not been cut off.
      assert.equal(await pane.text("reconnects"), "0");
    }
    // It has not all again, and says that instead.
    assert.equal(await page.c.text("recovered"), "–");
  });

  test("switches the transport and keeps the cursor", async (page) => {
    for (const [pane, other, title, way] of [
      [page.a, page.b, "WebSocket", /by WebSocket message$/],
      [page.b, page.a, "Server-Sent Events", /by POST$/],
    ]) {
      // Its old connection brings it nothing more, so that only the cursor can.
      await pane.press("hold");
      await pane.shows("verdict", /^reads nothing/);
      await page.press("burst");
      await other.shows("verdict", /^burst: 1,000 messages/);
      await pane.press("switch");
      const [, count] = await pane.shows(
        "verdict",
        new RegExp(`^switched to ${title} at the same cursor, ([\\d,]+) messages replayed, none lost$`),
      );
      assert.ok(Number(count.replace(",", "")) >= 1_000, `${count} messages`);
      assert.equal(await pane.text("title"), title);
      assert.match(await pane.text("way"), way);
      assert.equal(await pane.text("gaps"), "0");
      assert.equal(await pane.text("reconnects"), "0");
    }
  }, { hold: 15 });

  test("is told of a gap when the server restarted", async (page, scene) => {
    const { port } = scene.server;
    await scene.server.stop("SIGINT");
    for (const pane of page.panes) await pane.shows("state", /^no connection$/);
    scene.server = await startExample("side-by-side", { port });
    for (const pane of page.panes) {
      await pane.shows("verdict", /^gap: the server restarted/);
      assert.equal(await pane.text("reconnects"), "1");
    }
  });

  test("reads nothing for a while, and then all of it", async (page) => {
    const { a, b } = page;
    for (const pane of [a, b]) await pane.press("hold");
    for (const pane of [a, b]) await pane.shows("verdict", /^reads nothing for 5 s/);
    await page.press("burst");
    for (const pane of [a, b]) {
      const [, count] = await pane.shows("verdict", /^read nothing for [\d.]+ s, then ([\d,]+) messages at once, none lost$/);
      assert.ok(Number(count.replace(",", "")) >= 1_000, `${count} messages`);
      assert.equal(await pane.text("reconnects"), "0");
    }
  }, { hold: 5 });

  test("claims nothing of messages where none came", async (page) => {
    await page.press("statistics");
    for (const pane of [page.a, page.b]) await pane.event("heartbeat", /nothing to tell/);
    for (const pane of [page.a, page.c]) {
      await pane.press("cut");
      await pane.shows("verdict", /^reconnected after [\d.]+ s, nothing to replay$/);
    }
    await page.c.event("recovered", /^all is there again: 0 messages$/);
    assert.equal(await page.c.text("recovered"), "0");
    await page.b.press("switch");
    await page.b.shows("verdict", /^switched to Server-Sent Events at the same cursor, nothing to replay$/);
  });

  test("shows a switch that another page has pressed", async (page, { browser, server }) => {
    const other = await openSideBySide(browser, server.url);
    await other.press("statistics");
    const isPressed = () => page.page.evaluate(() => document.getElementById("statistics").ariaPressed === "true");
    await until(isPressed, () => "the switch is shown as pressed");
    for (const pane of [page.a, page.b]) await pane.event("heartbeat", /nothing to tell/);
    // And what is trimmed in one is lost in no other.
    await other.a.press("trim");
    await other.a.shows("verdict", /^gap: (\d+ messages, )?trimmed$/);
    await page.press("statistics");
    for (const pane of page.panes) {
      await pane.event("burst", /^40 of 40$/);
      assert.equal(await pane.text("gaps"), "0");
    }
    await other.close();
  });

  test("does not know what became of a note that was not answered", async (page) => {
    const { b, a } = page;
    await b.press("hold");
    await b.shows("verdict", /^reads nothing/);
    await b.say("is anybody there?");
    await a.event("note", /is anybody there/);
    await b.press("cut");
    await b.shows("answer", /^Not known whether it was sent: the connection was lost/);
    await b.event("note", /is anybody there/);
  }, { hold: 15 });

  test("cannot tell a silence from a dead link without heartbeats", async (page) => {
    await page.press("statistics");
    await page.a.press("heartbeats");
    await page.a.shows("verdict", /^nothing for more than [\d.]+ s, and no heartbeats/);
    assert.equal(await page.a.tone(), "quiet");
    await page.b.event("heartbeat", /nothing to tell/);
    for (const pane of [page.b, page.c]) assert.notEqual(await pane.tone(), "quiet");
    await page.press("statistics");
    await page.a.shows("verdict", /^heard again, after [\d.]+ s of silence$/);
    for (const pane of [page.b, page.c]) assert.notEqual(await pane.tone(), "quiet");
  });

  test("carries what people type, either way, as text", async (page) => {
    const text = `<img src="x" onerror="document.title = 'broken'"> & more`;
    for (const [pane, way] of [
      [page.a, "POST"],
      [page.b, "WebSocket"],
      [page.c, "WebSocket"],
    ]) {
      await pane.say(`${way}: ${text}`);
      const [, id] = await pane.shows("answer", /^Sent; its id is (\S+)$/);
      for (const each of page.panes) {
        await until(async () => (await each.events()).some((event) => event.id === id), () => `the note ${id} is shown`);
        const note = (await each.events()).find((event) => event.id === id);
        assert.deepEqual(note, { id, event: "note", said: `“${way}: ${text}” by ${way}` });
      }
    }
    assert.equal(await page.page.evaluate(() => document.querySelectorAll("img").length), 0);
  });

  test("says why a note was not sent", async (page) => {
    for (const pane of page.panes) {
      await pane.say("   ");
      await pane.shows("answer", /^Not sent: there is nothing in this note \(bad-note\)$/);
      await pane.say("ü".repeat(281));
      await pane.shows("answer", /^Not sent: .* at most 280 characters, this one has 281 \(bad-note\)$/);
    }
  });

  test("can be used by keyboard alone", async ({ page, a }) => {
    const focused = () => page.evaluate(() => document.activeElement.dataset.do);
    for (let i = 0; i < 20 && (await focused()) !== "cut"; i++) await page.press("Tab");
    assert.equal(await focused(), "cut");
    await page.press("Enter");
    await a.shows("verdict", /^reconnected after /);
    assert.equal(await focused(), "cut", "the focus stays, though the button could not be pressed for a while");
  });

  test("has room on a phone", async (_, { browser, server }) => {
    const phone = await openSideBySide(browser, server.url, { width: 360, height: 740 });
    const { clientWidth, scrollWidth } = await phone.page.evaluate(() => {
      const { clientWidth, scrollWidth } = document.documentElement;
      return { clientWidth, scrollWidth };
    });
    assert.ok(clientWidth <= 360, "it is as narrow as that");
    assert.equal(scrollWidth, clientWidth, "nothing sticks out");
    await phone.close();
  });

  test("has nothing that stands in the way of a screen reader, or of weak eyes", async (_, { browser, server }) => {
    for (const isDark of browser.name === "chromium" ? [false, true] : [false]) {
      const { page, a, b, c } = await openSideBySide(browser, server.url, { isDark });
      // With each tone that a verdict commonly has, a note, and an error.
      await b.say("a note");
      await a.event("note", /a note/);
      await b.say("   ");
      await b.shows("answer", /^Not sent/);
      await a.press("trim");
      await a.shows("verdict", /^gap/);
      await c.press("upgrades");
      await c.event("recovered", /all is there/);
      assert.deepEqual(await findHindrances(page), [], isDark ? "dark" : "light");
      await page.close();
    }
  });

  test("tells what each button does", async ({ page }) => {
    const undescribed = () =>
      [...document.querySelectorAll("button[type=button]")]
        .filter((button) => !document.getElementById(button.getAttribute("aria-describedby"))?.textContent)
        .map((button) => button.outerHTML);
    assert.deepEqual(await page.evaluate(undescribed), []);
  });
});

describe("side-by-side", () => {
  it("refuses foreign pages", { timeout: testTimeout }, async () => {
    const server = await startExample("side-by-side");
    try {
      for (const path of ["/burst?count=1", "/trim", "/statistics?on=false", "/wires/a/cut", "/wires/a/hold?seconds=1", "/live"]) {
        const init = { method: "POST", headers: { Origin: "https://elsewhere.example" } };
        const response = await fetch(server.url + path, init);
        assert.equal(response.status, 403, path);
        assert.equal((await response.json()).code, "foreign-origin", path);
      }
    } finally {
      await server.stop();
    }
  });
});
