// Behind nginx, HAProxy, Caddy, Varnish and Apache, with the configurations of docs/proxies.md: heads and events arrive as they are
// sent, WebSockets open, and both sides learn of each other's end.

import assert from "node:assert/strict";
import { connect } from "node:http2";
import { after, before, describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { buildFixture, buildTimeout, startFixture } from "../browser/server.mjs";
import { until } from "../browser/until.mjs";
import { open, openIn, openSocket, stall } from "./clients.mjs";
import { apache, caddy, haproxy, nginx, passing, start, varnish } from "./running.mjs";

const timeout = 30_000;

/**
 * Those that are blind in silence look after the client of a stream only when there is something to send to it. The encoding is that of an event
 * stream, which asks not to be transformed. One that holds all keeps for a client whatever it has not taken.
 */
const proxies = {
  nginx: nginx(""),
  "nginx that compresses event streams": {
    ...nginx("gzip on; gzip_min_length 0; gzip_types text/event-stream;"),
    encoding: "gzip",
  },
  HAProxy: haproxy(),
  "HAProxy without options": {
    ...haproxy((text) => text.replaceAll(/^ *option .*\n/gm, "")),
    isBlindInSilence: true,
  },
  "HAProxy that speaks HTTP/2 to the application": haproxy((text) => text.replace(/^( *server .*)$/m, "$1 proto h2")),
  "HAProxy that compresses all but what may not be transformed": haproxy((text) => {
    return text.replace("mode http", "$&\n    compression algo gzip\n    compression type text/event-stream");
  }),
  Caddy: caddy(),
  "Caddy that compresses all but what may not be transformed": caddy("", (text) => text.replace("reverse_proxy", "encode gzip\n$&")),
  Varnish: varnish(),
  "Varnish that passes event streams": { ...varnish(passing), isBlindInSilence: true, holdsAll: true },
  Apache: { ...apache(), isBlindInSilence: true },
  "Apache that compresses event streams": {
    ...apache((text) => `AddOutputFilterByType DEFLATE text/event-stream\n${text}`, "filter", "deflate"),
    isBlindInSilence: true,
    encoding: "gzip",
  },
};

for (const [name, proxy] of Object.entries(proxies)) {
  describe(name, () => {
    const scene = behind(proxy);

    /** Waits until the server knows that the client of this channel is gone. */
    const gone = async (channel) => {
      if (!proxy.isBlindInSilence) return scene.fixture.idle();
      const isGone = async () => {
        await scene.fixture.publish(channel, "are you there?");
        return (await scene.fixture.state()).sessions === 0;
      };
      await until(isGone, () => `nobody listens to ${channel}`);
    };

    it("passes on the head and the first bytes, and each event before the next is sent", { timeout }, async () => {
      const stream = await open(`${scene.running.url}/sse?channels=news`);
      assert.equal(stream.response.status, 200);
      assert.equal(stream.response.headers.get("content-type"), "text/event-stream");
      assert.equal(stream.response.headers.get("content-encoding"), proxy.encoding ?? null);
      assert.equal((await stream.next()).event, "dualcast:heartbeat");
      for (const text of ["1", "2\n2", "3", "x".repeat(300_000), "5"]) {
        const id = await scene.fixture.publish("news", text);
        assert.deepEqual(await stream.next(), { id, data: text });
      }
      stream.cancel();
      await gone("news");
    });

    it("passes on the cursor, and a heartbeat in silence", { timeout }, async () => {
      const [first, second] = await scene.fixture.publishAll("log", ["1", "2"]);
      const stream = await open(`${scene.running.url}/sse?channels=log&heartbeat=50`, { headers: { "Last-Event-ID": first } });
      assert.equal((await stream.next()).event, "dualcast:heartbeat");
      assert.deepEqual(await stream.next(), { id: second, data: "2" });
      for (let beat = 0; beat < 3; beat += 1) assert.equal((await stream.next()).event, "dualcast:heartbeat");
      stream.cancel();
      await gone("log");
    });

    if (!proxy.holdsAll) it("holds back no more than some, so that a client that takes nothing is found", { timeout }, async () => {
      const client = stall(`${scene.running.url}/sse?channels=long.stalled&write_timeout=500`);
      const follows = async () => (await scene.fixture.state("long.stalled")).followers["long.stalled"] === 1;
      await until(follows, () => "it is there");
      const text = "x".repeat(250_000);
      const isFound = async () => {
        await scene.fixture.publish("long.stalled", text);
        return !(await follows());
      };
      await until(isFound, () => "its session has ended");
      client.destroy();
    });

    it("passes on a POST of a page of the same origin", { timeout }, async () => {
      const stream = await open(`${scene.running.url}/sse?channels=said`);
      await stream.next();
      const headers = { "Content-Type": "application/json", Origin: scene.running.url };
      const body = JSON.stringify({ event: "message", data: "by POST" });
      const answer = await fetch(`${scene.running.url}/say?channel=said`, { method: "POST", headers, body });
      assert.equal(answer.status, 200);
      assert.equal((await stream.next()).data, "by POST");
      stream.cancel();
      await gone("said");
    });

    it("opens a WebSocket for a page of the same origin, and lets it go", { timeout }, async () => {
      const socket = await openSocket(`${scene.running.url}/ws?channels=news`, scene.running.url);
      await hears(socket, '"control":"welcome"');
      await scene.fixture.publish("news", "by WebSocket");
      await hears(socket, '"data":"by WebSocket"');
      socket.leave();
      await gone("news");
    });

    it("refuses a WebSocket of a page of another origin", { timeout }, async () => {
      await assert.rejects(openSocket(`${scene.running.url}/ws?channels=news`, "http://evil.example"), { status: 403 });
    });

    it("tells of the server's end", { timeout }, async () => {
      const stream = await open(`${scene.running.url}/sse?channels=news`);
      await stream.next();
      await scene.fixture.stop();
      const closing = await stream.next();
      assert.deepEqual([closing.event, JSON.parse(closing.data).reason], ["dualcast:closing", "shutdown"]);
      assert.equal(await stream.next(), null, "and ends");
    });
  });
}

/** Those that speak HTTP/2 to clients, here without TLS, which makes no difference for what they do with a stream. */
const multiplexing = {
  nginx: nginx("", undefined, "http2"),
  HAProxy: haproxy(),
  Caddy: caddy("servers {\nprotocols h1 h2c\n}"),
  Varnish: { ...varnish(undefined, "-p", "feature=+http2"), isBlindInSilence: true },
  // Of a connection on which no ordinary request has ended it answers six at a time.
  Apache: { ...apache((text) => `Protocols h2c http/1.1\n${text}`, "http2"), isBlindInSilence: true, atOnce: 6 },
};

for (const [name, proxy] of Object.entries(multiplexing)) {
  describe(`${name} that speaks HTTP/2 to clients`, () => {
    const scene = behind(proxy);

    it("passes on the events of many streams of one connection as they are sent, and that one has ended", { timeout }, async () => {
      const client = connect(scene.running.url);
      const channels = Array.from({ length: proxy.atOnce ?? 12 }, (_, number) => `channel-${number}`);
      const streams = channels.map((channel) => openIn(client, `/sse?channels=${channel}`));
      for (const stream of streams) assert.equal((await stream.next()).event, "dualcast:heartbeat");
      for (const text of ["1", "2"]) {
        for (const [number, channel] of channels.entries()) {
          const id = await scene.fixture.publish(channel, text);
          assert.deepEqual(await streams[number].next(), { id, data: text });
        }
      }

      streams[0].cancel();
      const isGone = async () => {
        if (proxy.isBlindInSilence) await scene.fixture.publish(channels[0], "are you there?");
        return (await scene.fixture.state(channels[0])).followers[channels[0]] === 0;
      };
      await until(isGone, () => "nobody listens to the channel of the stream that has ended");
      const id = await scene.fixture.publish(channels[1], "3");
      assert.deepEqual(await streams[1].next(), { id, data: "3" }, "the others go on");
      client.destroy();
    });
  });
}

/** Those that are told how long a silence they put up with: four seconds, in which a busy machine does say something. */
const impatient = {
  nginx: nginx("proxy_read_timeout 4s;"),
  HAProxy: haproxy((text) => text.replaceAll(/timeout (client|server|tunnel) .*/g, "timeout $1 4s")),
  Varnish: varnish(undefined, "-p", "pipe_timeout=4"),
  "Varnish that passes event streams": varnish(passing, "-p", "between_bytes_timeout=4", "-p", "pipe_timeout=4"),
  Apache: apache((text) => `ProxyTimeout 4\n${text}`),
};

/** Longer than that, in milliseconds. */
const longer = 6_500;

for (const [name, proxy] of Object.entries(impatient)) {
  describe(`${name} with a patience of four seconds`, { concurrency: true }, () => {
    const scene = behind(proxy);

    for (const [what, wish] of [["events", ""], ["comments", "&comments=true"]]) {
      it(`lets a stream live whose heartbeats are ${what}`, { timeout }, async () => {
        const stream = await open(`${scene.running.url}/sse?channels=${what}&heartbeat=300${wish}`);
        await setTimeout(longer);
        await scene.fixture.publish(what, "still there");
        let event;
        do event = await stream.next(); while (event && event.data !== "still there");
        assert.ok(event, "it was not cut");
        stream.cancel();
      });
    }

    for (const [what, wish] of [["heartbeats", "heartbeat=300&ping=60000"], ["pings", "heartbeat=60000&ping=300"]]) {
      it(`lets a WebSocket live by its ${what}`, { timeout }, async () => {
        const socket = await openSocket(`${scene.running.url}/ws?channels=${what}&${wish}`, scene.running.url);
        await setTimeout(longer);
        await scene.fixture.publish(what, "still there");
        await hears(socket, '"data":"still there"');
        socket.leave();
      });
    }

    it("cuts a stream without them", { timeout }, async () => {
      const stream = await open(`${scene.running.url}/sse?channels=quiet&heartbeat=60000`);
      assert.equal((await stream.next()).event, "dualcast:heartbeat");
      assert.equal(await stream.next().catch(() => null), null);
    });
  });
}

/** An application behind this proxy, for the tests of a suite. */
function behind(proxy) {
  const scene = {};
  before(buildFixture, { timeout: buildTimeout });
  before(async () => {
    scene.fixture = await startFixture();
    scene.running = await start(proxy, scene.fixture.port);
  }, { timeout });
  after(async () => {
    await scene.running?.stop();
    await scene.fixture?.stop();
  }, { timeout });
  return scene;
}

/** Waits until this WebSocket has got a message with this in it. */
async function hears({ heard }, text) {
  await until(() => heard.some((message) => message.includes(text)), () => `it hears ${text}; it heard ${heard}`);
}
