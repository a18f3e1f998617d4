// The client in Node, over real sockets: Node's own `fetch`, and the WebSocket of the package `ws`, as docs/client.md says for Node 20.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, describe, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { connect } from "../js/dualcast.js";

const cleanups = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server on a port of its own, which answers event streams; and WebSockets, if it takes them. */
async function serve({ takesSockets }) {
  const server = createServer((request, response) => {
    if (request.method === "POST") return response.end('{"control":"reply","data":"posted"}');
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write('id: a-1\nevent: dualcast:heartbeat\ndata: {"interval":15000}\n\nid: a-2\nevent: note\ndata: by stream\n\n');
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on("upgrade", (request, socket, head) => {
    if (!takesSockets) return socket.end("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.send('{"control":"welcome","id":"a-1"}');
      webSocket.send('{"id":"a-2","event":"note","data":"by socket"}');
      webSocket.on("message", (text) => webSocket.send(JSON.stringify({ control: "reply", ref: JSON.parse(text).ref, data: "sent" })));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => {
    server.close();
    server.closeAllConnections();
    for (const webSocket of sockets.clients) webSocket.terminate();
  });
  return `http://127.0.0.1:${server.address().port}/room`;
}

function open(url, options) {
  const live = connect(url, { WebSocket, ...options });
  cleanups.push(() => live.close());
  return live;
}

const next = (live, name) => new Promise((resolve) => {
  const off = live.on(name, (value) => (off(), resolve(value)));
});

describe("in Node", () => {
  test("a message comes and goes by WebSocket", async () => {
    const live = open(await serve({ takesSockets: true }));
    assert.equal(await next(live, "note"), "by socket");
    assert.equal(await live.send("note", 1), "sent");
    assert.equal(live.state.transport, "ws");
  });

  test("a WebSocket that is refused gives way to the event stream, and to POSTs", async () => {
    const live = open(await serve({ takesSockets: false }));
    assert.equal(await next(live, "note"), "by stream");
    assert.equal(await live.send("note", 1), "posted");
    assert.equal(live.state.transport, "sse");
  });

  test("a WebSocket that is closed while it is being opened harms nobody", async () => {
    const sockets = [];
    class Watched extends WebSocket {
      constructor(...address) {
        super(...address);
        sockets.push(this);
      }
    }
    const live = open(await serve({ takesSockets: true }), { transport: "ws", WebSocket: Watched });
    while (sockets.length === 0) await undefined;
    const gone = new Promise((resolve) => sockets[0].addEventListener("close", resolve));
    assert.equal(sockets[0].readyState, WebSocket.CONNECTING);
    live.close();
    await gone;
    assert.equal(live.state.reason, "left");
  });
});
