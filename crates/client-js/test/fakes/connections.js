// What a client opens, seen from both ends: the browser's side is what the client calls, the server's what a test says.

/** What connections have in common: words of the protocol. */
const words = {
  /** The id that the client came with. */
  get cursor() {
    return new URL(this.url).searchParams.get("last-event-id");
  },
  get channels() {
    return new URL(this.url).searchParams.get("channels");
  },
};

/** A WebSocket, seen from the server, too. */
export class FakeSocket {
  readyState = 0;
  isGone = false;
  /** What the client said. */
  heard = [];

  constructor(url, protocols) {
    this.url = String(url);
    this.protocols = protocols;
  }

  // The browser's side.

  send(data) {
    if (this.readyState === 0) throw new DOMException("still connecting", "InvalidStateError");
    if (this.readyState === 1) this.heard.push(JSON.parse(data));
  }

  close(code) {
    this.closedWith = code;
    this.#gone(1006);
  }

  // The server's.

  /** The handshake is done, and nothing said yet. */
  accept() {
    this.readyState = 1;
    this.onopen?.({});
    return this;
  }

  welcome(welcome = {}) {
    this.accept();
    return this.say({ control: "welcome", interval: 15_000, ...welcome });
  }

  say(...frames) {
    for (const frame of frames) {
      if (this.readyState === 1) this.onmessage?.({ data: isRaw(frame) ? frame : JSON.stringify(frame) });
    }
    return this;
  }

  note(id, data = id, more = {}) {
    return this.say({ id, event: "note", data, ...more });
  }

  heartbeat(id) {
    return this.say({ control: "heartbeat", id, interval: 15_000 });
  }

  /** Answers what the client asked last, or the message that is named. */
  reply(data, { ref } = this.heard.at(-1)) {
    return this.say({ control: "reply", ref, data });
  }

  error(code, more = {}, { ref } = this.heard.at(-1)) {
    return this.say({ control: "error", ref, code, message: `it is ${code}`, ...more });
  }

  closing(reason, reconnect, more = {}) {
    this.say({ control: "closing", reason, code: 4000, reconnect, message: reason, ...more });
    return this.drop(4000);
  }

  refuse() {
    return this.drop();
  }

  /** The connection breaks. */
  drop(code = 1006) {
    this.#gone(code);
    return this;
  }

  #gone(code) {
    if (this.isGone) return;
    this.isGone = true;
    this.readyState = 3;
    queueMicrotask(() => this.onclose?.({ code, reason: "" }));
  }
}

/** A request by `fetch` and its answer, seen from the server. */
export class FakeExchange {
  isGone = false;
  #answer;
  #fail;
  #controller;

  constructor(url, { headers, body, signal, credentials }) {
    this.url = String(url);
    this.headers = new Headers(headers);
    this.credentials = credentials;
    this.body = body && JSON.parse(body);
    this.response = new Promise((resolve, reject) => {
      this.#answer = resolve;
      this.#fail = reject;
    });
    signal?.addEventListener("abort", () => this.break(signal.reason));
    if (signal?.aborted) this.break(signal.reason);
  }

  // As an event stream.

  accept(contentType = "text/event-stream", status = 200, headers = {}) {
    const body = new ReadableStream({ start: (controller) => (this.#controller = controller) });
    this.#answer(new Response(body, { status, headers: { "content-type": contentType, ...headers } }));
    return this;
  }

  welcome({ id, retry, ...fields } = {}) {
    this.accept();
    if (retry !== undefined) this.raw(`retry: ${retry}\n`);
    return this.notice("heartbeat", { interval: 15_000, ...fields }, id);
  }

  notice(name, fields = {}, id = undefined) {
    return this.event(`dualcast:${name}`, JSON.stringify(fields), id);
  }

  event(event, data, id = undefined, type = undefined) {
    return this.raw([id && `id: ${id}\n`, `event: ${event}\n`, type && `type: ${type}\n`, `data: ${data}\n\n`].filter(Boolean).join(""));
  }

  note(id, data = id) {
    return this.event("note", data, id);
  }

  heartbeat(id) {
    return this.notice("heartbeat", { interval: 15_000 }, id);
  }

  closing(reason, reconnect, more = {}) {
    return this.notice("closing", { reason, code: 4000, reconnect, message: reason, ...more });
  }

  raw(text) {
    if (!this.isGone) this.#controller.enqueue(new TextEncoder().encode(text));
    return this;
  }

  end() {
    if (!this.isGone) this.#controller.close();
    this.isGone = true;
    return this;
  }

  // As any answer.

  /** An answer that is no stream. */
  refuse(status, text = "", headers = {}) {
    this.isGone = true;
    const isEmpty = status === 204 || status === 205 || status === 304;
    this.#answer(new Response(isEmpty ? null : text, { status, headers }));
    return this;
  }

  reply(data) {
    return this.refuse(200, JSON.stringify({ control: "reply", data }));
  }

  error(status, code, more = {}) {
    return this.refuse(status, JSON.stringify({ control: "error", code, message: `it is ${code}`, ...more }));
  }

  /** The connection breaks: before the answer, or in the middle of it. */
  break(error = new TypeError("the network is gone")) {
    this.isGone = true;
    this.#fail(error);
    try {
      this.#controller?.error(error);
    } catch {
      // It had ended.
    }
    return this;
  }
}

/** The browser's own EventSource. */
export class FakeEventSource {
  isGone = false;
  #listeners = new Map();
  #lastEventId = "";

  constructor(url, init) {
    this.url = String(url);
    this.init = init;
  }

  addEventListener(name, listener) {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
  }

  close() {
    this.isGone = true;
  }

  /** The names that the client listens to. */
  get names() {
    return [...this.#listeners.keys()];
  }

  event(name, data, id = this.#lastEventId) {
    this.#lastEventId = id;
    if (!this.isGone) this.#listeners.get(name)?.forEach((listener) => listener({ data, lastEventId: id }));
    return this;
  }

  notice(name, fields = {}, id = undefined) {
    return this.event(`dualcast:${name}`, JSON.stringify(fields), id);
  }

  fail() {
    if (!this.isGone) this.#listeners.get("error")?.forEach((listener) => listener({}));
    return this;
  }
}

for (const kind of [FakeSocket, FakeExchange, FakeEventSource]) {
  Object.defineProperties(kind.prototype, Object.getOwnPropertyDescriptors(words));
}

/** @param {unknown} frame text or bytes that are no frame's object */
function isRaw(frame) {
  return typeof frame === "string" || frame instanceof ArrayBuffer;
}
