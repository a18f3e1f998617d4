// Dualcast's client in `examples/side-by-side`, pane C: what it does that the browser's own don't do, and what it says of it.

import assert from "node:assert/strict";
import { inSideBySide, testTimeout } from "./side-by-side.mjs";
import { until } from "./until.mjs";

/** More than the half minute at most after which the client tries WebSocket again, in milliseconds. */
const firstProbe = 40_000;

inSideBySide("the client in side-by-side", (test) => {
  test("sends a note again until it is answered, and shows it once", async ({ a, c }) => {
    await putsUpWithSilence(c);
    await c.press("hold");
    await c.shows("verdict", /^reads nothing/);
    await c.say("is anybody there?");
    const { id } = await a.event("note", /is anybody there/);
    await c.shows("tells", /unsent: 1$/);
    await c.press("cut");
    assert.deepEqual((await c.shows("answer", /^Sent; its id is (\S+)$/))[1], id);
    await c.shows("tells", /unsent: 0$/);
    // Behind one that came later there is no second one to come.
    await a.say("no");
    for (const pane of [a, c]) {
      await pane.event("note", /“no”/);
      const notes = (await pane.events()).filter(({ said }) => /is anybody there/.test(said));
      assert.deepEqual(notes.map((note) => note.id), [id]);
    }
  }, { hold: 15, timeout: testTimeout + firstProbe });

  test("gives up a link that fell silent, and goes on over another", async ({ c }) => {
    // By then it has shown that it works, or another transport would be tried.
    await until(async () => (await c.number("messages")) > 20, () => "a while has passed");
    await c.press("hold");
    await c.shows("verdict", /^the connection is silent, and given up|^gave up a silent connection/);
    await c.shows("verdict", /^gave up a silent connection, back after [\d.]+ s, \d+ messages replayed, none lost$/);
    await c.event("recovered", /^all is there again: [1-9]\d* messages$/);
    assert.equal(await c.text("reconnects"), "1");
    assert.equal(await c.text("gaps"), "0");
  }, { hold: 15 });

  test("falls back where WebSocket is taken away, and returns by itself", async (page) => {
    const { c } = page;
    await until(async () => (await c.number("messages")) > 20, () => "a while has passed");
    await c.press("upgrades");
    await c.shows("tells", /^open over Server-Sent Events, since WebSocket did not come about; unsent: 0$/);
    await c.shows("verdict", /^reconnected after [\d.]+ s over Server-Sent Events, (\d+ messages?|nothing) (to replay|replayed), none lost$/);
    await c.event("recovered", /^all is there again/);
    await c.say("by the other way");
    await page.b.event("note", /by the other way” by POST$/);
    await c.shows("answer", /^Sent/);

    await c.press("upgrades");
    await c.shows("tells", /^open over WebSocket, which works again; unsent: 0$/, firstProbe);
    await c.shows("verdict", /^over WebSocket now, without an interruption, (\d+ messages?|nothing) (to replay|replayed), none lost$/);
    assert.equal(await c.text("reconnects"), "1");
    assert.equal(await c.text("gaps"), "0");
    const found = (await c.events()).filter(({ event }) => event === "open").map(({ said }) => said.split(", ")[0]);
    assert.deepEqual(found, ["WebSocket", "Server-Sent Events", "WebSocket"]);
  }, { timeout: testTimeout + firstProbe });

  test("is switched by hand and back to auto, at the same cursor", async (page) => {
    const { a, c } = page;
    const endOfBurst = async () => (await a.event("burst", /^1,000 of 1,000$/)).id;
    let last;
    await putsUpWithSilence(c);
    for (const [to, tells] of [
      ["Server-Sent Events", /^open over Server-Sent Events, as chosen by hand/],
      ["auto", /^open over WebSocket, the best that works here/],
    ]) {
      await c.press("hold");
      await c.shows("verdict", /^reads nothing/);
      await page.press("burst");
      // Not by the verdict: at the second burst that of the first still stands.
      await until(async () => (await endOfBurst()) !== last, () => "all of this burst is there");
      last = await endOfBurst();
      await c.press("switch");
      const [, count] = await c.shows(
        "verdict",
        new RegExp(`^switched to ${to} at the same cursor, ([\\d,]+) messages replayed, none lost$`),
      );
      assert.ok(Number(count.replace(",", "")) >= 1_000, `${count} messages`);
      await c.shows("tells", tells);
      assert.equal(await c.text("reconnects"), "0");
    }
    // Without WebSocket one that must have it has nothing, and can still be told to choose by itself.
    await c.press("upgrades");
    await c.shows("tells", /^open over Server-Sent Events, since WebSocket did not come about/);
    await c.press("switch");
    await c.shows("tells", /^waiting \(lost\): the next attempt comes in [\d.]+ s; unsent: 0$/);
    await c.press("switch");
    await c.shows("tells", /^open over Server-Sent Events, which worked last/);
  }, { hold: 15, timeout: testTimeout + firstProbe });
});

/** Takes its heartbeats away: with them it would give up a connection that is held for long, as it is on a busy machine. */
async function putsUpWithSilence(client) {
  await client.press("heartbeats");
  await client.shows("verdict", /^reopened without heartbeats/);
  // On a busy machine it may have begun on the other, and comes back to this by itself.
  await client.shows("tells", /^open over WebSocket/, firstProbe);
}
