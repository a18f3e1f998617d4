// Other people's HTTP/2 clients against the server: Node's own, and Python's. Event streams and WebSockets (RFC 8441) as streams of
// one connection.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect, constants } from "node:http2";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { buildFixture, buildTimeout, startFixture } from "./server.mjs";

before(buildFixture, { timeout: buildTimeout });

describe("node:http2", () => {
  let fixture, session;

  before(async () => {
    fixture = await startFixture();
    session = connect(fixture.url);
    await once(session, "remoteSettings");
  });

  after(async () => {
    session?.close();
    await fixture?.stop();
  });

  it("is told that WebSockets are spoken", () => {
    assert.equal(session.remoteSettings.enableConnectProtocol, true);
  });

  it("has a hundred event streams on one connection", async () => {
    const streams = Array.from({ length: 100 }, () => session.request({ ":path": "/sse?channels=h2.many" }));
    const heads = await Promise.all(streams.map(async (stream) => (await once(stream, "response"))[0]));
    for (const head of heads) {
      assert.equal(head[":status"], 200);
      assert.equal(head["content-type"], "text/event-stream");
      assert.equal(head["transfer-encoding"], undefined);
    }
    const texts = streams.map((stream) => until(stream, "data: to all"));
    await fixture.publish("h2.many", "to all");
    await Promise.all(texts);
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    await fixture.idle();
  });

  for (const protocol of ["websocket", "WebSocket"]) {
    it(`opens a ${protocol}, hears what is published, and says goodbye`, async () => {
      const stream = session.request({
        ":method": "CONNECT",
        ":protocol": protocol,
        ":path": "/ws?channels=h2.socket",
        "sec-websocket-version": "13",
        "sec-websocket-protocol": "dualcast.v1",
      });
      const [head] = await once(stream, "response");
      assert.equal(head[":status"], 200);
      assert.equal(head["sec-websocket-protocol"], "dualcast.v1");
      assert.equal(head["sec-websocket-accept"], undefined);
      await until(stream, '"control":"welcome"');
      const heard = until(stream, '"data":"by a stream"');
      await fixture.publish("h2.socket", "by a stream");
      await heard;
      // A close frame with 1000 (RFC 6455 section 5.5.1), masked with zeros; the same comes back, and the stream ends.
      stream.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]));
      const rest = [];
      stream.on("data", (piece) => rest.push(piece)).resume();
      await once(stream, "end");
      assert.deepEqual(Buffer.concat(rest), Buffer.from([0x88, 0x02, 0x03, 0xe8]));
      stream.end();
      await fixture.idle();
    });
  }
});

// `tests/run browsers` installs it.
const python = fileURLToPath(new URL("../../.tools/http2-client-4.3.0/bin/python", import.meta.url));
const script = fileURLToPath(new URL("http2_client.py", import.meta.url));

describe("Python's h2 and wsproto", { skip: existsSync(python) ? false : "not installed: `tests/run browsers` does that" }, () => {
  it("open a WebSocket, hear what is published, and say goodbye", async () => {
    const fixture = await startFixture();
    try {
      const client = spawn(python, [script, "127.0.0.1", fixture.port, "h2.python"], { stdio: ["ignore", "pipe", "inherit"] });
      const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]();
      assert.equal((await lines.next()).value, "open");
      const id = await fixture.publish("h2.python", "over a stream");
      assert.deepEqual(JSON.parse((await lines.next()).value), { id, event: "message", data: "over a stream" });
      assert.equal((await lines.next()).value, "closed 1000");
      assert.equal((await lines.next()).value, "over");
      await fixture.idle();
    } finally {
      await fixture.stop();
    }
  });
});

/** Reads until this has come. */
function until(stream, text) {
  return new Promise((resolve, reject) => {
    let heard = "";
    const hear = (piece) => {
      heard += piece;
      if (!heard.includes(text)) return;
      stream.off("data", hear);
      stream.pause();
      resolve();
    };
    stream.on("data", hear);
    stream.resume();
    stream.once("error", reject);
    stream.once("close", () => reject(new Error(`it ended before ${text}: ${heard}`)));
  });
}
