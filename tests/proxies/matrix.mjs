// Measures what nginx, HAProxy, Caddy, Varnish and Apache do to both transports: what arrives, how late, when silence is cut, and whether
// the application learns that a client has left. In front of Dualcast, and in front of an event stream that says nothing to proxies.
//
//     node tests/proxies/matrix.mjs          writes docs/comparison/proxies.json, in less than two minutes
//     docs/comparison/proxies.py             puts it into docs/proxies.md
//
// `tests/run proxies` installs what it needs. There are results only where all arrives without a proxy, and where whatever arrives through
// one does so once and in order.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import http from "node:http";
import os from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { startFixture } from "../browser/server.mjs";
import { open, openSocket } from "./clients.mjs";
import { apache, caddy, executable, haproxy, nginx, passing, start, varnish } from "./running.mjs";

const results = new URL("../../docs/comparison/proxies.json", import.meta.url);

/** How long we wait for a silence to be cut and for an application to learn something, in milliseconds: beyond the minute that is usual. */
const patience = 75_000;
/** How long for a head, or for the last of the events. */
const impatience = 3_000;
const events = { count: 20, interval: 250 };
/** Beyond all that is waited for. In milliseconds, as the fixture takes it. */
const never = 600_000;

/** What each is run with: what somebody writes who has never heard of streams, what docs/proxies.md shows, and that with compression. */
const configurations = {
  nginx: {
    default: nginx("", (_, target) => `location / { proxy_pass http://127.0.0.1:${target}; }`),
    right: nginx(""),
    compressing: nginx("gzip on; gzip_min_length 0; gzip_types text/event-stream;"),
  },
  HAProxy: {
    // It wants to be told how long it shall wait; this is what Debian's file says.
    default: haproxy((_, target) => `
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s

frontend site
    bind :80
    default_backend app

backend app
    server app 127.0.0.1:${target}
`),
    right: haproxy(),
    compressing: haproxy((text) => {
      return text.replace("mode http", "$&\n    compression algo gzip\n    compression type text/event-stream");
    }),
  },
  Caddy: {
    // That of docs/proxies.md is no other.
    default: caddy(),
    compressing: caddy("", (text) => text.replace("reverse_proxy", "encode gzip\n$&")),
  },
  Varnish: {
    default: varnish((_, target) => `vcl 4.1; backend app { .host = "127.0.0.1"; .port = "${target}"; }`),
    right: varnish(),
    // What is piped it doesn't look into.
    compressing: varnish((text) => `${passing(text)}\nsub vcl_backend_response { set beresp.do_gzip = true; }`),
  },
  Apache: {
    default: apache((_, target) => `ProxyPass / http://127.0.0.1:${target}/`),
    right: apache(),
    compressing: apache((text) => `AddOutputFilterByType DEFLATE text/event-stream\n${text}`, "filter", "deflate"),
  },
};

/** What each says its version by. */
const versions = {
  nginx: ["nginx", "-v"],
  HAProxy: ["haproxy", "-v"],
  Caddy: ["caddy", "version"],
  Varnish: ["varnishd", "-V"],
  Apache: ["apache2", "-v"],
};

// Each proxy goes with this process.
process.setMaxListeners(0);
const stops = [];
try {
  await measure();
} finally {
  for (const stop of stops.reverse()) await stop();
}
// Whatever is still open has lost its other side.
process.exit();

async function measure() {
  const dualcast = await startDualcast();
  const plain = await startPlain();
  const scenes = [];
  for (const application of [dualcast, plain]) {
    scenes.push({ proxy: "none", configuration: "default", application, url: `http://127.0.0.1:${application.port}` });
    for (const [proxy, kinds] of Object.entries(configurations)) {
      for (const [configuration, how] of Object.entries(kinds)) {
        const { url, stop } = await start(how, application.port);
        stops.push(stop);
        scenes.push({ proxy, configuration, application, url });
      }
    }
  }
  // Each has channels of its own.
  for (const [number, scene] of scenes.entries()) scene.channel = (what) => `scene-${number}.${what}`;

  const rows = new Map(scenes.map((scene) => [scene, { sse: {}, websocket: {} }]));
  const isOf = (application) => (scene) => scene.application === application;
  const isWaitedOn = ({ configuration }) => configuration !== "compressing";

  // Node loads, and compiles, what a request takes when there are some.
  await timeStream({ ...scenes[0], channel: (what) => `first.${what}` }, {});

  // One kind at a time, and one scene a little after the other, so that none waits for the others' events.
  for (const [transport, time, some] of [
    ["sse", timeStream, scenes.filter(isOf(dualcast))],
    ["sse", timeStream, scenes.filter(isOf(plain))],
    ["websocket", timeSocket, scenes.filter(isOf(dualcast)).filter(isWaitedOn)],
  ]) {
    await Promise.all(some.map(async (scene, number) => {
      await sleep((number * events.interval) / some.length);
      await time(scene, rows.get(scene)[transport]);
    }));
  }
  await Promise.all(scenes.filter(isWaitedOn).map(async (scene) => {
    const { sse, websocket } = rows.get(scene);
    await Promise.all([waitOnStreams(scene, sse), scene.application.hasSockets && waitOnSockets(scene, websocket)]);
  }));

  for (const [{ proxy, application }, row] of rows) {
    if (proxy !== "none") continue;
    assert.equal(row.sse.arrived, events.count, `all events of ${application.name} arrive without a proxy`);
    if (application.hasSockets) assert.equal(row.websocket.arrived, events.count, "and all messages");
  }
  const listed = (transport) => [...rows].flatMap(([{ proxy, configuration, application }, row]) => {
    const found = Object.entries(row[transport]).sort();
    return found.length ? [{ proxy, configuration, application: application.name, ...Object.fromEntries(found) }] : [];
  });
  const measured = {
    measured: new Date().toISOString().slice(0, 10),
    machine: `${os.cpus()[0].model}, ${os.cpus().length} cores, ${os.type()} ${os.release()}`,
    patienceSeconds: patience / 1_000,
    events: { count: events.count, intervalMs: events.interval },
    versions: await versionsOfAll(),
    sse: listed("sse"),
    websocket: listed("websocket"),
  };
  await writeFile(results, `${JSON.stringify(measured, null, 2)}\n`);
}

/** How long a stream's head and its events take, and whether it is a stream of one's own. */
async function timeStream({ application, url, channel }, row) {
  const over = new AbortController();
  const address = `${url}/sse?channels=${channel("timed")}`;
  const began = performance.now();
  const arrivals = [];
  row.headMs = null;
  const reading = open(address, { signal: over.signal }).then(async (stream) => {
    row.headMs = tenths(performance.now() - began);
    row.encoding = stream.response.headers.get("content-encoding");
    for (let event; (event = await stream.next()); ) {
      if (!event.event) arrivals.push({ text: event.data, at: performance.now() });
    }
  });
  // Without a head there is a pending request, and at the end all of it is cancelled.
  reading.catch(() => {});
  await Promise.race([reading, until(() => row.headMs !== null)]);
  Object.assign(row, await lateness((text) => application.publish(channel("timed"), text), arrivals));

  const second = open(address, { signal: over.signal });
  second.catch(() => {});
  row.isOwn = await until(async () => (await application.followers(channel("timed"))) === 2);
  over.abort();

  if (!application.hasSockets) return;
  const headers = { "Content-Type": "application/json", Origin: url };
  const body = JSON.stringify({ event: "message", data: "by POST" });
  row.postStatus = (await fetch(`${url}/say?channel=${channel("said")}`, { method: "POST", headers, body })).status;
}

/** Whether a WebSocket opens, and how long its messages take. */
async function timeSocket({ application, url, channel }, row) {
  const address = `${url}/ws?channels=${channel("timed-socket")}`;
  const status = async (origin) => {
    const answer = await openSocket(address, origin).catch((error) => error);
    answer.leave?.();
    if (!answer.leave && !answer.status) throw answer;
    return answer.status ?? 101;
  };
  row.status = await status();
  row.pageStatus = await status(url);
  if (row.status !== 101) return;

  const arrivals = [];
  const socket = await openSocket(address, undefined, (text) => {
    const message = JSON.parse(text);
    if ("data" in message) arrivals.push({ text: message.data, at: performance.now() });
  });
  Object.assign(row, await lateness((text) => application.publish(channel("timed-socket"), text), arrivals));
  socket.leave();
}

/** Sends one event after another. Says how many arrived, in time for the last to be waited for, and how late half of them were at least. */
async function lateness(publish, arrivals) {
  const sent = [];
  const began = performance.now();
  for (let number = 1; number <= events.count; number += 1) {
    await sleep(began + number * events.interval - performance.now());
    sent.push(performance.now());
    await publish(String(number));
  }
  await until(() => arrivals.length === events.count);
  const arrived = [...arrivals];
  assert.deepEqual(arrived.map(({ text }) => text), arrived.map((_, index) => String(index + 1)), "each once, and in order");
  const late = arrived.map(({ at }, index) => at - sent[index]).sort((one, other) => one - other);
  return { arrived: arrived.length, lateMs: late.length ? tenths(late[late.length >> 1]) : null };
}

/** When a silent stream is cut, whether heartbeats keep one, and when the application learns that a client has left. */
async function waitOnStreams({ application, url, channel }, row) {
  const address = (what, wish = "") => `${url}/sse?channels=${channel(what)}${wish}`;
  const over = new AbortController();
  /** Waits for its end, and says of each event that it has come. */
  const read = async (what, wish, came = () => {}) => {
    const stream = await open(address(what, wish), { signal: over.signal });
    if (!stream.response.ok) return;
    for (let event; (event = await stream.next()); ) came(event);
  };

  const cut = async () => {
    const began = performance.now();
    let [last, isOver] = [began, false];
    const reading = read("silent", `&heartbeat=${never}`, () => (last = performance.now()));
    reading.catch(() => {}).finally(() => (isOver = true));
    row.cutSeconds = (await until(() => isOver, patience)) ? tenths((performance.now() - last) / 1_000) : null;
  };
  const live = async () => {
    let isThere = false;
    read("beating", "", (event) => (isThere ||= event.data === "still there")).catch(() => {});
    await sleep(patience);
    await application.publish(channel("beating"), "still there");
    row.livesByHeartbeats = await until(() => isThere);
  };
  const leave = async () => {
    const leaving = new AbortController();
    open(address("left"), { signal: leaving.signal }).catch(() => {});
    assert.ok(await until(async () => (await application.followers(channel("left"))) === 1), "a client is there that can leave");
    // Proxies that look after a stream have begun to by then.
    await sleep(1_000);
    leaving.abort();
    row.toldSeconds = await toldAfter(() => application.followers(channel("left")));
  };
  await Promise.all([cut(), leave(), ...(application.hasSockets ? [live()] : [])]);
  over.abort();
}

/** The same of a WebSocket, if one opens. */
async function waitOnSockets({ application, url, channel }, row) {
  const address = (what, wish = "") => `${url}/ws?channels=${channel(what)}${wish}`;
  const first = await openSocket(address("silent-socket", `&heartbeat=${never}&ping=${never}`)).catch((error) => error);
  if (!first.heard) return;

  const cut = async () => {
    const began = performance.now();
    let isOver = false;
    first.over.then(() => (isOver = true));
    row.cutSeconds = (await until(() => isOver, patience)) ? tenths((performance.now() - began) / 1_000) : null;
    first.leave();
  };
  const live = async () => {
    const socket = await openSocket(address("beating-socket"));
    await sleep(patience);
    await application.publish(channel("beating-socket"), "still there");
    row.livesByHeartbeats = await until(() => socket.heard.some((text) => text.includes("still there")));
    socket.leave();
  };
  const leave = async () => {
    const socket = await openSocket(address("left-socket"));
    await sleep(1_000);
    socket.leave();
    row.toldSeconds = await toldAfter(() => application.followers(channel("left-socket")));
  };
  await Promise.all([cut(), live(), leave()]);
}

/** How long until nobody follows, in seconds; null if that is not within our patience. */
async function toldAfter(followers) {
  const began = performance.now();
  const isTold = await until(async () => (await followers()) === 0, patience);
  return isTold ? tenths((performance.now() - began) / 1_000) : null;
}

/** Whether it comes true in time. It is asked often at first, and then four times a second, so that asking disturbs nobody. */
async function until(isTrue, within = impatience) {
  const end = performance.now() + within;
  for (let pause = 10; !(await isTrue()); pause = Math.min(pause * 1.5, 250)) {
    if (performance.now() > end) return false;
    await sleep(pause);
  }
  return true;
}

/** Dualcast with its own defaults, but where a measurement wishes otherwise. */
async function startDualcast() {
  const fixture = await startFixture();
  stops.push(() => fixture.stop());
  return {
    name: "Dualcast",
    hasSockets: true,
    port: fixture.port,
    publish: (channel, text) => fixture.publish(channel, text),
    followers: async (channel) => (await fixture.state(channel)).followers[channel],
  };
}

/**
 * An event stream by somebody who knows its format, and nothing of what may stand between: no header but its type, and silence until there is
 * an event.
 */
async function startPlain() {
  const followers = new Map();
  const of = (channel) => followers.get(channel) ?? followers.set(channel, new Set()).get(channel);
  const server = http.createServer((request, response) => {
    const channel = of(new URL(request.url, "http://plain").searchParams.get("channels"));
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
    channel.add(response);
    response.on("close", () => channel.delete(response));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stops.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return {
    name: "plain",
    hasSockets: false,
    port: server.address().port,
    publish: async (channel, text) => of(channel).forEach((response) => response.write(`data: ${text}\n\n`)),
    followers: async (channel) => of(channel).size,
  };
}

async function versionsOfAll() {
  const entries = Object.entries(versions).map(async ([proxy, [name, ...args]]) => {
    const { stdout, stderr } = await promisify(execFile)(executable(name), args);
    return [proxy, `${stdout}${stderr}`.match(/\d+\.\d+\.\d+/)[0]];
  });
  return Object.fromEntries(await Promise.all(entries));
}

function tenths(value) {
  return Math.round(value * 10) / 10;
}
