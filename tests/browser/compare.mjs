// What browsers do with event streams and WebSockets: how many of one origin they open, how they come back from a cut, and what they lack then. It
// takes two minutes, and writes `docs/comparison/browsers.json`; `docs/comparison/browsers.py` puts that into the document.
//
//     cd tests/browser && node compare.mjs

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ownLaunchers } from "./browsers.mjs";
import { countLosses } from "./losses.mjs";
import { startProxy } from "./proxy.mjs";
import { startExample } from "./server.mjs";
import { until } from "./until.mjs";
import { startBareStream, startPassedStream } from "./watched-stream.mjs";

/** What hasn't happened after so many milliseconds without any change is taken not to happen. */
const patience = 1_000;

/** How long a WebSocket that was cut is given to come back by itself, in milliseconds. */
const webSocketPatience = 10_000;

/** How long an `EventSource` is given: four times the longest default. */
const comebackPatience = 20_000;

/** How often each stream is cut, and how many there are of a kind. */
const cuts = 2;
const streams = 4;

/** How many attempts at a server that is away are waited for. */
const attempts = 4;

const names = { chromium: "Chromium", firefox: "Firefox ESR" };
const into = new URL("../../docs/comparison/browsers.json", import.meta.url);

const browsers = [];
for (const [name, launch] of Object.entries(ownLaunchers)) {
  const browser = await launch();
  try {
    const version = await browser.version();
    console.error(`${names[name]} ${version}: how many connections`);
    const connections = {
      page: await withExample("hello", (hello) => countOfAPage(browser, hello)),
      tabs: await withExample("hello", (hello) => countOverTabs(browser, hello)),
      http2: await withExample("tls-h2", (overHttp2) => countOverHttp2(browser, overHttp2)),
      webSockets: await withExample("hello", (hello) => countWebSockets(browser, hello)),
    };
    console.error(`${names[name]} ${version}: how it comes back`);
    const comebacks = await withExample("hello", (hello) => timeComebacks(browser, hello));
    const away = await timeAttempts(browser);
    console.error(`${names[name]} ${version}: what it loses`);
    const losses = await countLosses(browser);
    browsers.push({ name: names[name], version, connections, comebacks, away, losses });
  } finally {
    await browser.close();
  }
}
const measured = new Date().toISOString().slice(0, 10);
await writeFile(into, `${JSON.stringify({ measured, browsers }, null, 2)}\n`);

/** Each question has a server of its own, with no connections that another has left. */
async function withExample(name, body) {
  const server = await startExample(name);
  try {
    return await body(server);
  } finally {
    await server.stop();
  }
}

/** Of ten event streams that a page asks for over HTTP/1.1, and of a request, a WebSocket and a tab beside them. */
async function countOfAPage(browser, hello) {
  const page = await browser.newPage(hello.url);
  await page.evaluate(openStreams, 10, "/sse");
  const open = await settled(page, countOpen);
  await page.evaluate(ask);
  const isAnswered = await settled(page, () => globalThis.isAnswered);
  await page.evaluate(openWebSocket);
  const webSocketOpens = await settled(page, isSocketOpen);
  // By addresses of their own: what is asked for twice at the same time waits for the cache, and not for a connection.
  const anotherTab = page.newTab(`${hello.url}/?tab`);
  const tabLoads = await Promise.race([anotherTab.then(() => true), sleep(2 * patience, false)]);
  await page.evaluate(closeStreams, 1);
  // The next stream takes the place, as long as there is one that waits.
  const openAfterOneClosed = await settled(page, countOpen);
  await page.evaluate(closeStreams, 10);
  await until(() => page.evaluate(() => globalThis.isAnswered), () => "the request is answered, once there is room");
  await (await anotherTab).close();
  await page.close();
  return { asked: 10, open, isAnswered, webSocketOpens, tabLoads, openAfterOneClosed };
}

/** Of five event streams in each of two tabs. */
async function countOverTabs(browser, hello) {
  const first = await browser.newPage(hello.url);
  const second = await first.newTab(hello.url);
  const tabs = [first, second];
  const open = [];
  for (const tab of tabs) {
    await tab.evaluate(openStreams, 5, "/sse");
    open.push(await settled(tab, countOpen));
  }
  for (const tab of tabs) await tab.close();
  return { asked: [5, 5], open };
}

/** A hundred event streams over HTTP/2, with a request beside them; and how many there can be. */
async function countOverHttp2(browser, overHttp2) {
  const page = await browser.newPage(overHttp2.url);
  const protocol = await page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol);
  assert.equal(protocol, "h2");
  await page.evaluate(openStreams, 100, "/clocks/1");
  const open = await settled(page, countOpen);
  await page.evaluate(ask);
  const isAnswered = await settled(page, () => globalThis.isAnswered);
  await page.evaluate(openStreams, 200, "/clocks/1");
  // The page has twelve of its own, and a WebSocket.
  const most = (await settled(page, countOpen)) + 13;
  await page.evaluate(ask);
  const isAnsweredAtMost = await settled(page, () => globalThis.isAnswered);
  await page.close();
  return { asked: 100, open, isAnswered, most, isAnsweredAtMost };
}

/** Of three hundred WebSockets over HTTP/1.1. */
async function countWebSockets(browser, hello) {
  const page = await browser.newPage(hello.url);
  const opened = (count) => {
    globalThis.sockets = Array.from({ length: count }, () => new WebSocket(`ws://${location.host}/ws`));
  };
  const inState = (state) => sockets.filter(({ readyState }) => readyState === state).length;
  await page.evaluate(opened, 300);
  const open = await settled(page, inState, 1);
  const refused = await page.evaluate(inState, 3);
  await page.close();
  return { asked: 300, open, refused };
}

async function timeComebacks(browser, hello) {
  const network = await startProxy(hello.port);
  // Of the WebSocket's origin, or it would be refused; event streams may be heard from anywhere.
  const page = await browser.newPage(`http://127.0.0.1:${network.port}/`);
  const bare = await Promise.all(Array.from({ length: streams }, () => startBareStream("data: hello\n\n")));
  const passed = await Promise.all(Array.from({ length: streams }, () => startPassedStream(`${hello.url}/sse`)));
  // Its last block is an id and no more.
  const idAlone = await startBareStream("id: 1\nevent: first\ndata:\n\nid: 2\n\n");
  const all = [...bare, ...passed, idAlone];
  try {
    await page.evaluate(follow, all.map(({ url }) => url));
    await page.evaluate(openWebSocket);
    await until(() => page.evaluate(areStreamsOpen), () => "the streams are open");
    await until(() => page.evaluate(isSocketOpen), () => "the WebSocket is open");
    network.cut();
    const cutAt = performance.now();

    const [cut, ended, told] = await Promise.all([
      waits(bare.slice(0, streams / 2), cuts, (stream) => stream.cut()),
      waits(bare.slice(streams / 2), cuts, (stream) => stream.end()),
      waitsAsTold(passed, cuts),
      waits([idAlone], 1, (stream) => stream.cut()),
    ]);
    await page.hide();
    const [hiddenCut, hiddenTold] = await Promise.all([waits(bare, 1, (stream) => stream.cut()), waitsAsTold(passed, 1)]);
    await page.show();

    await sleep(Math.max(0, cutAt + webSocketPatience - performance.now()));
    const webSocket = await page.evaluate(() => globalThis.socketClosed);
    const comebacks = network.requests.filter(({ isUpgrade }) => isUpgrade).length - 1;
    return {
      cut,
      ended,
      told,
      hidden: { cut: hiddenCut, told: hiddenTold },
      lastEventId: {
        // What the heartbeat of the opening has taught it, before any message.
        isThatOfTheHeartbeat: passed.every(({ asked }) => asked.slice(1).every(({ lastEventId }, index) => lastEventId === asked[index].id)),
        withoutIds: bare[0].asked[1].lastEventId ?? null,
        behindAnIdAlone: idAlone.asked[1].lastEventId ?? null,
      },
      webSocket: { ...webSocket, comebacks, waited: webSocketPatience },
    };
  } finally {
    await page.close();
    for (const stream of all) await stream.close();
    await network.close();
  }
}

/** How long each of these streams is not asked for when it is broken off so, in milliseconds, so many times. */
async function waits(streams, times, breakOff) {
  const measured = streams.map(async (stream) => {
    const waited = [];
    for (let time = 0; time < times; time++) {
      const [count, broken] = [stream.asked.length, breakOff(stream)];
      await until(() => stream.asked.length > count, () => "it is asked for again", comebackPatience);
      waited.push(Math.round(stream.asked[count].at - broken));
      await whole(stream);
    }
    return waited;
  });
  return (await Promise.all(measured)).flat();
}

/** The same of streams that say how long to wait: `{ told, waited }` each. */
async function waitsAsTold(streams, times) {
  const measured = streams.map(async (stream) => {
    const found = [];
    for (let time = 0; time < times; time++) {
      const { retry: told } = await whole(stream);
      const [waited] = await waits([stream], 1, (stream) => stream.cut());
      found.push({ told, waited });
    }
    return found;
  });
  return (await Promise.all(measured)).flat();
}

/** What was asked for last, once its answer has begun. */
async function whole(stream) {
  const asked = stream.asked.at(-1);
  await sleep(200);
  return asked;
}

/**
 * How far apart attempts are while nobody listens, in milliseconds, of a stream that said a second: one of the page's own origin, and
 * one of another.
 */
async function timeAttempts(browser) {
  const streams = [await startBareStream("retry: 1000\n\n"), await startBareStream("retry: 1000\n\n")];
  const page = await browser.newPage(streams[0].page);
  try {
    await page.evaluate(follow, streams.map(({ url }) => url));
    await until(() => page.evaluate(areStreamsOpen), () => "both are open");
    for (const stream of streams) await stream.goAway();
    const told = [];
    for (const index of streams.keys()) {
      const look = () => page.evaluate((index) => ({ failures: followed[index].failures, state: followed[index].source.readyState }), index);
      let seen;
      const isTold = async () => (seen = await look()).failures.length > attempts || seen.state === 2;
      await until(isTold, () => "it has failed again and again, or given up", comebackPatience);
      // What it says of the loss itself comes first.
      const apart = seen.failures.slice(1, attempts + 1).map((moment, number) => Math.round(moment - seen.failures[number]));
      told.push({ apart, hasGivenUp: seen.state === 2 });
    }
    for (const stream of streams) await stream.comeBack();
    const hasComeBack = (index) => followed[index].source.readyState === EventSource.OPEN;
    for (const [index, { hasGivenUp }] of told.entries()) {
      const isSo = () => page.evaluate(hasComeBack, index);
      if (!hasGivenUp) await until(isSo, () => "it comes back once somebody listens again");
      else assert.equal(await settled(page, hasComeBack, index), false);
    }
    return { ownOrigin: told[0], otherOrigin: told[1] };
  } finally {
    await page.close();
    for (const stream of streams) await stream.close();
  }
}

/** What the page says, once it has said the same for as long as our patience lasts. */
async function settled(page, fn, ...args) {
  let [last, since] = [undefined, performance.now()];
  for (;;) {
    const now = await page.evaluate(fn, ...args);
    if (now !== last) [last, since] = [now, performance.now()];
    if (performance.now() - since > patience) return now;
    await sleep(50);
  }
}

// In the page:

function openStreams(count, path) {
  globalThis.sources ??= [];
  for (let number = 0; number < count; number++) sources.push(new EventSource(path));
}

function closeStreams(count) {
  // Those that are open come first.
  for (const source of sources.splice(0, count)) source.close();
}

function countOpen() {
  return sources.filter(({ readyState }) => readyState === EventSource.OPEN).length;
}

function ask() {
  globalThis.isAnswered = false;
  fetch("/?request").then(() => (globalThis.isAnswered = true));
}

function follow(urls) {
  globalThis.followed = urls.map((url) => {
    const stream = { source: new EventSource(url), failures: [] };
    stream.source.onerror = () => stream.failures.push(performance.now());
    return stream;
  });
}

function openWebSocket() {
  globalThis.socket = new WebSocket(`ws://${location.host}/ws`);
  socket.onclose = ({ code, wasClean }) => (globalThis.socketClosed = { code, wasClean });
}

function areStreamsOpen() {
  return followed.every(({ source }) => source.readyState === EventSource.OPEN);
}

function isSocketOpen() {
  return socket.readyState === WebSocket.OPEN;
}
