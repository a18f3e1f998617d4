// By what right Dualcast's own client comes: it has a new token before the old one runs out, asks for another where one is
// refused, and stops, and says so, where none is good or its page may not connect.

import assert from "node:assert/strict";
import { openLivePage } from "./live.mjs";
import { inEachBrowser } from "./scene.mjs";
import { startFixture } from "./server.mjs";
import { until } from "./until.mjs";

const path = "/guarded?channels=news";

/** Of a token, in milliseconds. */
const lifetime = 12_000;

/**
 * By how much the page's timers run ahead of the server's. So a new token is asked for long before the old one runs out, however busy the machine is. By
 * the sixth the lifetime of the first is over: each is due after four fifths of it.
 */
const haste = 4;
const tokens = 6;

const anHour = 3_600_000;

/** How an event stream is given up at a status; of a refused WebSocket a page learns nothing. */
const sse = { transport: "sse" };

inEachBrowser((test) => {
  test("has a new token before the old one runs out, on a WebSocket that stays and an event stream that another replaces", async (scene) => {
    const { fixture, page } = scene;
    await page.evaluate((haste) => {
      globalThis.asked = { ws: [], sse: [] };
      const { setTimeout } = globalThis;
      globalThis.setTimeout = (run, milliseconds) => setTimeout(run, milliseconds / haste);
    }, haste);
    const url = `${path}&lifetime=${lifetime}`;
    const patient = { connectTimeout: 30_000 * haste };
    const ws = await page.connect(url, { ...patient, transport: "ws", token: ({ refresh }) => `good-ws-${asked.ws.push(refresh)}` });
    const stream = await page.connect(url, { ...patient, ...sse, token: async ({ refresh }) => `good-sse-${asked.sse.push(refresh)}` });
    await ws.opened();
    await stream.opened();

    const published = [];
    const ids = [];
    const areAsked = async () => {
      // Without a pause, so that some are published at the very moment.
      published.push(String(published.length));
      ids.push(await fixture.publish("news", published.at(-1)));
      const all = await page.evaluate(() => asked);
      return all.ws.length >= tokens && all.sse.length >= tokens;
    };
    await until(areAsked, () => "each was asked for a new token, time and again", 30_000);
    // Slow, it may ask once more for one of them.
    const { ws: ofSocket, sse: ofStream } = await page.evaluate(() => asked);
    for (const asks of [ofSocket, ofStream]) assert.deepEqual(asks, asks.map((_, at) => at > 0));
    const requests = async (right) => (await fixture.requests("/guarded")).filter(({ token }) => token.startsWith(right));
    await until(async () => (await requests("good-sse-")).length >= tokens, () => "each stream was replaced by another");
    assert.deepEqual((await requests("good-ws-")).map(({ token, status }) => [token, status]), [["good-ws-1", 101]]);
    const streams = await requests("good-sse-");
    assert.deepEqual(streams.map(({ status }) => status), streams.map(() => 200));
    const numbers = streams.map(({ token }) => Number(token.replace("good-sse-", "")));
    assert.deepEqual([...new Set([1, ...numbers])].sort((a, b) => a - b), numbers, "each with a token of its own, in order");
    assert.equal((await fixture.requests("/guarded")).length, streams.length + 1, "and there are no others");
    for (const live of [ws, stream]) {
      const states = (await live.heard()).filter(({ kind }) => kind === "state");
      assert.deepEqual(states.map(({ status, reason }) => [status, reason]), [["connecting", undefined], ["open", undefined]]);
      const messages = await live.messages(published.length);
      assert.deepEqual(messages.map(({ id, data }) => [id, data]), ids.map((id, at) => [id, published[at]]));
    }
    assert.deepEqual((await stream.heard()).filter(({ kind }) => ["gap", "recovered", "error", "unknown"].includes(kind)), []);
    await until(async () => (await fixture.state()).sessions === 2, () => "those that were replaced are gone");
  });

  for (const transport of ["sse", ["ws", "sse"]]) {
    test(`asks once for a new token where one is refused, on ${transport}`, async ({ fixture, page }) => {
      await page.evaluate(() => (globalThis.asked = []));
      const token = ({ refresh }) => (asked.push(refresh), refresh ? "good" : "bad");
      const live = await page.connect(path, { transport, token });
      await live.opened();
      const told = [await fixture.publish("news", "hello")];
      assert.deepEqual((await live.messages(1)).map(({ id }) => id), told);
      assert.equal((await page.evaluate(() => asked)).filter((refresh) => refresh).length, 1);
      const requests = (await fixture.requests("/guarded")).map(({ token, status }) => [token, status]);
      // A WebSocket's refusal has no status: the event stream's says why, and then the WebSocket is tried again.
      const wanted = transport === "sse" ? [["bad", 401], ["good", 200]] : [["bad", 401], ["bad", 401], ["good", 101]];
      assert.deepEqual(requests, wanted);
      assert.ok(!(await statuses(live)).includes("waiting"), "it comes back at once");
    });

    test(`stops where a token stays bad, and says so, on ${transport}`, async ({ fixture, page }) => {
      await page.evaluate(() => (globalThis.asked = []));
      const live = await page.connect(path, { transport, token: ({ refresh }) => `bad-${asked.push(refresh)}` });
      const { reason, code, message } = await live.told("closed");
      assert.deepEqual([reason, code], ["unauthorized", 401]);
      assert.match(message, /show a good token/);
      assert.equal((await live.state()).status, "closed");
      const attempts = [transport].flat().length * 2;
      const requests = (await fixture.requests("/guarded")).map(({ token, status }) => [token, status]);
      assert.deepEqual(requests, Array.from({ length: attempts }, (_, at) => [`bad-${at + 1}`, 401]));
      const { error } = await live.send("note", "too late");
      assert.equal(error.code, "closed");
    });
  }

  test("begins anew after it was refused, once the page has a good token", async ({ fixture, page }) => {
    await page.evaluate(() => (globalThis.mine = "bad"));
    const live = await page.connect(path, { token: () => mine });
    await live.told("closed");
    await page.evaluate(() => (globalThis.mine = "good"));
    await live.reconnect();
    await live.opened();
    await fixture.publish("news", "hello");
    assert.deepEqual(await live.data(1), ["hello"]);
  });

  test("asks once for a new token where a POST is refused, and once only", async ({ fixture, page }) => {
    await page.evaluate(() => (globalThis.asked = []));
    // Good for the stream; then gone bad.
    const token = ({ refresh }) => (asked.push(refresh) === 1 || (refresh && !asked.isOver) ? "good" : "bad");
    const live = await page.connect(path, { ...sse, token });
    await live.opened();
    const { reply } = await live.send("note", "hello");
    assert.deepEqual((await live.messages(1)).map(({ id, data }) => [id, data]), [[reply.id, "hello"]]);
    const posts = async () => (await fixture.requests("/guarded")).filter(({ method }) => method === "POST");
    assert.deepEqual((await posts()).map(({ token, status }) => [token, status]), [["bad", 401], ["good", 200]]);

    await page.evaluate(() => (asked.isOver = true));
    const { error } = await live.send("note", "lost");
    assert.deepEqual([error.code, error.status], ["unauthenticated", 401]);
    assert.equal((await posts()).length, 4);
    // The stream is another matter: it is open yet.
    assert.equal((await live.state()).status, "open");
  });

  test("tells what the page's own token function throws, and asks again", async ({ page }) => {
    await page.evaluate(() => (globalThis.asked = 0));
    const token = () => {
      if (asked++ < 2) throw new Error("nobody is logged in");
      return "good";
    };
    const live = await page.connect(path, { ...sse, token, minDelay: 1 });
    const { message } = await live.told("error", { count: 2 });
    assert.equal(message, "nobody is logged in");
    await live.opened();
  });

  test("stops where the page's origin may not connect", async ({ browser }) => {
    await besides(browser, { ONLY: "https://elsewhere.example" }, async (fixture, page) => {
      const live = await page.connect("/live?channels=news");
      const { reason, code, message } = await live.told("closed");
      assert.deepEqual([reason, code], ["refused", 403]);
      assert.match(message, /names no origin/);
      const requests = (await fixture.requests("/live")).map(({ status }) => status);
      assert.deepEqual(requests, [403, 403]);
    });
  });

  test("hears nothing of a server that lets no page of its origin in, and does not press it", async ({ fixture, page }) => {
    // It waits yet when it is looked at.
    const live = await page.connect(`${fixture.url}/live?channels=news`, { minDelay: anHour, maxDelay: anHour });
    const { reason, retryAt } = await live.told("state", { status: "waiting" });
    assert.equal(reason, "lost");
    assert.ok(retryAt > 0, "it waits");
    const requests = (await fixture.requests("/live")).map(({ status }) => status);
    // The browser keeps the answers from the page, so it can't know that it may never come in.
    assert.deepEqual(requests, [403, 403]);
    await live.close();
  });
}, openLivePage);

async function statuses(live) {
  return (await live.heard()).filter(({ kind }) => kind === "state").map(({ status }) => status);
}

/** With another fixture, and a page of it. */
async function besides(browser, env, happens) {
  const fixture = await startFixture({ env });
  try {
    const page = await openLivePage(browser, fixture.url);
    await happens(fixture, page);
    await page.close();
  } finally {
    await fixture.stop();
  }
}
