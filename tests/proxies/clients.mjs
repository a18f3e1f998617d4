// Clients that see a stream and a socket as they arrive: with the standard's fields and frames alone, and with nothing that comes back.

import http from "node:http";
import { constants } from "node:http2";
import net from "node:net";

/** An event stream, read event by event, as they come, until `cancel()` or this signal. */
export async function open(url, { headers = {}, signal } = {}) {
  const abort = new AbortController();
  const cancel = () => abort.abort();
  signal?.addEventListener("abort", cancel);
  // As a browser's EventSource does, and as it takes it.
  const own = { Accept: "text/event-stream", "Accept-Encoding": "gzip", ...headers };
  const response = await fetch(url, { headers: own, signal: abort.signal });
  return { response, ...events(response.body.pipeThrough(new TextDecoderStream())), cancel };
}

/** The connection of a client that opens an event stream, and reads nothing of it. */
export function stall(url) {
  const { hostname, port, host, pathname, search } = new URL(url);
  const socket = net.connect(port, hostname).pause();
  socket.on("error", () => {});
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nAccept: text/event-stream\r\n\r\n`);
  return socket;
}

/** One of several on this connection of HTTP/2. */
export function openIn(client, path) {
  const stream = client.request({ ":path": path, accept: "text/event-stream" });
  stream.on("error", () => {});
  return { ...events(stream.setEncoding("utf8")), cancel: () => stream.close(constants.NGHTTP2_CANCEL) };
}

function events(texts) {
  const reader = texts[Symbol.asyncIterator]();
  let pending = "";
  /** The next event, as it stands in the stream; null at its end. */
  const next = async () => {
    for (;;) {
      const [block, ...rest] = pending.split("\n\n");
      if (rest.length) {
        pending = rest.join("\n\n");
        return parse(block);
      }
      const { value, done } = await reader.next();
      if (done) return null;
      pending += value;
    }
  };
  return { next };
}

/** The fields of one event (HTML standard, section 9.2.6), but for `retry`. */
function parse(block) {
  const event = {};
  for (const line of block.split("\n")) {
    const [, name, value] = line.match(/^([^:]*):? ?([^]*)$/);
    if (name && name !== "retry") event[name] = name in event ? `${event[name]}\n${value}` : value;
  }
  return event;
}

/**
 * A WebSocket that a page of this origin opens, or, without one, a program that is no browser. What it `heard`, the texts so far, grows by
 * itself, each `came(text)` as it did, and pings are answered. It is `over` when the other side has closed it, or we have. Rejects with the
 * status of any other answer.
 */
export async function openSocket(url, origin, came = () => {}) {
  const { socket, head } = await upgrade(url, origin);
  const heard = [];
  const over = new Promise((resolve) => socket.on("close", resolve));
  let pending = head;
  const read = (bytes) => {
    pending = Buffer.concat([pending, bytes]);
    for (let frame; (frame = firstFrame(pending)); ) {
      pending = pending.subarray(frame.end);
      if (frame.opcode === opcodes.text) came(heard[heard.push(frame.payload.toString()) - 1]);
      if (frame.opcode === opcodes.ping) socket.write(pong(frame.payload));
      if (frame.opcode === opcodes.close) socket.destroy();
    }
  };
  socket.on("error", () => {});
  socket.on("end", () => socket.destroy());
  socket.on("data", read);
  read(Buffer.alloc(0));
  return { heard, over, leave: () => socket.destroy() };
}

function upgrade(url, origin) {
  const headers = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  if (origin) headers.Origin = origin;
  return new Promise((resolve, reject) => {
    const request = http.get(url, { headers, agent: false });
    request.on("upgrade", (_, socket, head) => resolve({ socket, head }));
    request.on("response", (response) => {
      response.resume();
      reject(Object.assign(new Error(`answered ${response.statusCode}`), { status: response.statusCode }));
    });
    request.on("error", reject);
  });
}

/** Of RFC 6455, section 5.2. */
const opcodes = { text: 1, close: 8, ping: 9, pong: 10 };

/** The first frame of a server's bytes, which has no mask, and where it ends. Null where it is not all there yet. */
function firstFrame(bytes) {
  if (bytes.length < 2) return null;
  let [length, start] = [bytes[1] & 0x7f, 2];
  if (length === 126) [length, start] = bytes.length < 4 ? [Infinity, 4] : [bytes.readUInt16BE(2), 4];
  if (length === 127) [length, start] = bytes.length < 10 ? [Infinity, 10] : [Number(bytes.readBigUInt64BE(2)), 10];
  const end = start + length;
  return bytes.length < end ? null : { opcode: bytes[0] & 0x0f, payload: bytes.subarray(start, end), end };
}

/** With a mask of zeros, as a client's frames have to have one (section 5.3). A ping's payload is 125 bytes at most (section 5.5). */
function pong(payload) {
  return Buffer.concat([Buffer.from([0x80 | opcodes.pong, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}
