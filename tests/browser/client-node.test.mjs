// The very modules that a page loads, in Node without a page: an event stream by Node's `fetch`, a WebSocket by `ws`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { startProxy } from "./proxy.mjs";
import { buildFixture, buildTimeout, startFixture } from "./server.mjs";
import { until } from "./until.mjs";

const script = fileURLToPath(new URL("node-client.mjs", import.meta.url));
const timeout = 60_000;

/** What it is told to use, whether it has the WebSocket of `ws`, and what it takes then. */
const ways = [
  { transport: "ws", withWs: true, takes: "ws" },
  { transport: "sse", withWs: false, takes: "sse" },
  { transport: "auto", withWs: true, takes: "ws" },
  { transport: "auto", withWs: false, takes: "sse" },
];

describe("Node", () => {
  let fixture;
  let network;
  before(buildFixture, { timeout: buildTimeout });
  before(async () => {
    fixture = await startFixture();
    network = await startProxy(fixture.port);
  });
  after(async () => {
    await network?.close();
    await fixture?.stop();
  });

  for (const { transport, withWs, takes } of ways) {
    it(`runs the client on ${transport}${withWs ? " with the WebSocket of ws" : ""}, and ends when that is closed`, { timeout }, async () => {
      const url = `${network.url}/live?channels=${takes}.${transport}`;
      const client = new NodeClient(url, transport, withWs);
      try {
        const { transport: taken } = await client.told("state", { status: "open" });
        assert.equal(taken, takes);
        const reply = await client.send("sent");
        const ids = [reply.id, await fixture.publish(`${takes}.${transport}`, "published")];
        await client.told("message", {}, 2);

        network.refuse();
        await client.told("state", { status: "waiting" });
        const waiting = client.send("sent while it is away");
        ids.push(await fixture.publish(`${takes}.${transport}`, "missed"));
        network.heal();
        const { transport: back } = await client.told("recovered");
        // Where it may choose, the network may be there again between its two attempts.
        if (transport !== "auto") assert.equal(back, takes);
        ids.push((await waiting).id);
        await client.told("message", {}, 4);
        const messages = client.heard.filter(({ kind }) => kind === "message");
        assert.deepEqual(
          messages.map(({ id, data }) => [id, data]),
          ["sent", "published", "missed", "sent while it is away"].map((data, at) => [ids[at], data]),
        );
        assert.deepEqual(client.heard.filter(({ kind }) => ["gap", "error"].includes(kind)), []);

        assert.deepEqual(await client.close(), [0, null]);
        assert.equal(client.complaints, "");
        // While a WebSocket of ws closes it has a timer of its own.
        assert.deepEqual((await client.told("left")).timers, back === "ws" ? ["Timeout"] : []);
        await fixture.idle();
      } finally {
        client.kill();
      }
    });
  }
});

/** A process of `node-client.mjs`. */
class NodeClient {
  heard = [];
  complaints = "";
  #child;
  #ended;

  constructor(url, transport, withWs) {
    const args = [script, url, JSON.stringify(transport), ...(withWs ? ["with-ws"] : [])];
    this.#child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#ended = once(this.#child, "close");
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.heard.push(JSON.parse(line)));
    this.#child.stderr.on("data", (text) => (this.complaints += text));
  }

  /** The newest that it told of this kind with these properties, once there are so many. */
  async told(kind, wanted = {}, count = 1) {
    const matches = (told) => told.kind === kind && Object.entries(wanted).every(([name, value]) => told[name] === value);
    const found = () => this.heard.filter(matches);
    await until(() => found().length >= count, () => `there are ${count} ${kind} in ${JSON.stringify(this.heard)} ${this.complaints}`);
    return found().at(-1);
  }

  /** Answers the reply. One at a time. */
  async send(text) {
    const before = this.heard.filter(({ kind }) => kind === "reply").length;
    this.#child.stdin.write(`${text}\n`);
    return this.told("reply", {}, before + 1);
  }

  /** Closes the client, and answers how the process ended by itself. */
  async close() {
    this.#child.stdin.end();
    return this.#ended;
  }

  kill() {
    this.#child.kill("SIGKILL");
  }
}
