// A rolling restart: a second process listens on the port of the first, the first goes in good order, and its clients come
// back to the second. With the embedded fan-out the log goes with its process, so what a client can't have is told as a gap.

import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket from "ws";
import { startFixture } from "./server.mjs";
import { until } from "./until.mjs";

const CLIENTS = 100;
const CHANNEL = "news";

/** A plain client that comes back with its last id, and keeps what it was told: texts, and `gap` where one was told. */
class Client {
  told = [];
  epochs = new Set();
  #lastId;
  #isOver = false;

  constructor(url, open) {
    this.url = url;
    this.running = this.#run(open);
  }

  async #run(open) {
    while (!this.#isOver) {
      await open(this, this.#lastId).catch(() => {});
      // As soon as it can: the moments that the server names are tested elsewhere.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  hear({ id, event, data, reason }) {
    if (id !== undefined) this.#lastId = id;
    if (id !== undefined) this.epochs.add(id.split("-")[0]);
    if (event === "message") this.told.push(Number(data));
    if (event === "gap") this.told.push(`gap: ${reason}`);
  }

  async stop() {
    this.#isOver = true;
    this.cut?.();
    await this.running;
  }
}

/** One event stream, to its end. */
async function eventStream(client, lastId) {
  const controller = new AbortController();
  client.cut = () => controller.abort();
  const headers = lastId ? { "last-event-id": lastId } : {};
  const response = await fetch(`${client.url}/sse?channels=${CHANNEL}`, { headers, signal: controller.signal });
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2)));
      const event = (fields.event ?? "message").replace("dualcast:", "");
      const notice = event === "gap" ? JSON.parse(fields.data) : {};
      client.hear({ id: fields.id, event, data: fields.data, reason: notice.reason });
    }
  }
}

/** One WebSocket, to its end. */
async function webSocket(client, lastId) {
  const query = lastId ? `&last-event-id=${lastId}` : "";
  const socket = new WebSocket(`${client.url.replace("http", "ws")}/ws?channels=${CHANNEL}${query}`);
  client.cut = () => socket.terminate();
  socket.on("message", (frame) => {
    const { control, ...told } = JSON.parse(frame);
    client.hear({ event: control, ...told });
  });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.on("close", resolve));
}

test("loses nothing without a word when one process takes over from another", async (t) => {
  const env = { SHARE_PORT: "1" };
  const first = await startFixture({ env });
  const clients = [];
  t.after(async () => {
    await Promise.all(clients.map((client) => client.stop()));
    await first.stop();
  });
  for (let number = 0; number < CLIENTS; number++) {
    clients.push(new Client(first.url, number % 2 ? eventStream : webSocket));
  }
  await until(async () => (await first.state()).sessions === CLIENTS, () => "every client is there");
  await first.publishBurst(CHANNEL, 50);
  await until(() => clients.every(({ told }) => told.length === 50), () => "every client has heard the first");

  const second = await startFixture({ port: first.port, env });
  t.after(() => second.stop());
  assert.deepEqual(await first.stop(), { code: 0, signal: null }, "it ends in good order");
  await until(async () => (await second.state()).sessions === CLIENTS, () => "every client has come back");
  await second.publishBurst(CHANNEL, 50);
  await until(() => clients.every(({ told }) => told.filter(Number).length === 100), () => "every client has heard all");

  const numbers = Array.from({ length: 50 }, (_, index) => index + 1);
  for (const { told, epochs } of clients) {
    assert.deepEqual(told, [...numbers, "gap: epoch", ...numbers]);
    assert.equal(epochs.size, 2);
  }
});
