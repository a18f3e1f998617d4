import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { loadSnapshot } from "../page/snapshot.mjs";

/** A server of which each answer is made by hand. */
async function serving(t, answer) {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}/b/one`;
}

const snapshot = { position: "a-1", board: { objects: { n: { text: "ü".repeat(50) } } } };

test("a snapshot is what the server says, in however many parts it comes", async (t) => {
  const asked = [];
  const address = await serving(t, ({ url }, response) => {
    asked.push(url);
    const bytes = Buffer.from(JSON.stringify(snapshot));
    const send = (from) => (from < bytes.length ? response.write(bytes.subarray(from, from + 7), () => setImmediate(send, from + 7)) : response.end());
    send(0);
  });
  assert.deepEqual(await loadSnapshot(address), snapshot);
  assert.deepEqual(asked, ["/b/one/snapshot"]);
});

test("an answer that says no is an error", async (t) => {
  const address = await serving(t, (_, response) => response.writeHead(503).end("busy"));
  await assert.rejects(loadSnapshot(address), /the server answered 503/);
});

/** A network that brings what it is told to, and nothing else. Time stands still. */
function slowNetwork(t) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const network = {};
  t.mock.method(globalThis, "fetch", (_, { signal }) => {
    const aborted = (act) => signal.addEventListener("abort", () => act(signal.reason));
    return new Promise((resolve, reject) => {
      aborted(reject);
      network.answer = () => resolve(new Response(new ReadableStream({ start: (body) => aborted((why) => body.error(why)) || (network.body = body) })));
    });
  });
  network.passes = async (milliseconds) => {
    await turn();
    t.mock.timers.tick(milliseconds);
    await turn();
  };
  return network;
}

test("a large board may take its time on a slow link", async (t) => {
  const network = slowNetwork(t);
  const loading = loadSnapshot("/b/one");
  await network.passes(9_000);
  network.answer();
  const bytes = new TextEncoder().encode(JSON.stringify(snapshot));
  for (let from = 0; from < bytes.length; from += 20) {
    await network.passes(9_000);
    network.body.enqueue(bytes.subarray(from, from + 20));
  }
  await network.passes(9_000);
  network.body.close();
  assert.deepEqual(await loading, snapshot);
});

for (const what of ["before its answer", "in the midst of it"]) {
  test(`a network that falls silent ${what} is given up`, async (t) => {
    const network = slowNetwork(t);
    let state = "loading";
    const loading = loadSnapshot("/b/one").catch((error) => (state = error.message));
    if (what === "in the midst of it") {
      network.answer();
      await turn();
      network.body.enqueue(new TextEncoder().encode('{"position":'));
    }
    await network.passes(9_999);
    assert.equal(state, "loading");
    await network.passes(1);
    await loading;
    assert.equal(state, "nothing came for 10 seconds");
  });
}
