// What stands in for the world in the tests of the client: a clock that goes when it is told to, a server whose every word a test writes,
// and a page that is hidden, put away and brought back.
//
// The client gets `fetch`, `WebSocket` and `EventSource` by its options, as an application's own would be. What it opens a test takes from
// the server in turn: `await server.socket()`, `await server.stream()`, `await server.post()`. Nothing sleeps: `settle` lets all
// promises run that can.

import { afterEach, mock } from "node:test";
import { connect } from "../js/dualcast.js";
// It is loaded when it is wanted, which takes longer than a promise.
import "../js/dualcast/event-source.js";

/** Where the clock begins, in milliseconds since 1970. */
const START = 1_700_000_000_000;
/** The steps in which it goes, in milliseconds: promises run between them. */
const STEP = 20;
/** Of a long time the steps are longer. */
const MOST_STEPS = 500;
/** What a timer can hold, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** How long a test waits for an attempt by the stopped clock, in milliseconds. */
const LONGEST_WAIT = 120_000;
/** As many turns of Node's event loop as the longest chain of streams and promises here takes. */
const TURNS = 6;

/** @type {(() => void)[]} */
const cleanups = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** Lets all promises run that can. */
export async function settle() {
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Stops the clock: from now on timers and dates follow `pass`. Chance is what a test says: by default the most there is. */
export function stopTime(chance = () => 0.999_999) {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: START });
  // As real ones do, of a time that no timer can hold they make none at all.
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (run, ms) => setTimeout(run, ms >= 1 && ms <= LONGEST_TIMER ? ms : 1);
  const random = mock.method(Math, "random", chance);
  // Node's own goes by the real clock.
  const timeout = mock.method(AbortSignal, "timeout", (ms) => {
    const controller = new AbortController();
    globalThis.setTimeout(() => controller.abort(new DOMException("timed out", "TimeoutError")), ms);
    return controller.signal;
  });
  cleanups.push(() => {
    timeout.mock.restore();
    random.mock.restore();
    mock.timers.reset();
  });
}

/** Lets so many milliseconds pass. */
export async function pass(ms) {
  await settle();
  const longest = Math.max(STEP, ms / MOST_STEPS);
  for (let left = ms; left > 0; left -= longest) await step(Math.min(left, longest));
  await settle();
}

async function step(ms) {
  mock.timers.tick(ms);
  await new Promise((resolve) => setImmediate(resolve));
}

/** Keeps an event stream alive for so many milliseconds. */
export async function passAlive(stream, ms, id) {
  for (let left = ms; left > 0; left -= 15_000) {
    await pass(Math.min(left, 15_000));
    stream.heartbeat(id);
  }
  await settle();
}

/** A machine that slept: the clock went on, and no timer ran yet. */
export function sleepMachine(ms) {
  mock.timers.setTime(Date.now() + ms);
}

/** The clock is set by so many milliseconds, back or on; timers go on as they were. */
export function setClock(ms) {
  const { now } = Date;
  const clock = mock.method(Date, "now", () => now() + ms);
  cleanups.push(() => clock.mock.restore());
}

/** A client of a server, and what it told, in order. */
export function client(server, options = {}) {
  const live = connect("https://example.com/room", { ...server.implementations, ...options });
  cleanups.push(() => live.close());
  return { live, ...notesOf(live) };
}

/** Notes what a client or a channel tells: `told` has all, `messages` the data of the messages, `states` each status. */
export function notesOf(listening) {
  const told = [];
  const messages = [];
  const states = [];
  listening.on("*", ({ data }) => messages.push(data));
  listening.on("state", ({ status }) => states.push(status));
  for (const name of ["gap", "recovered", "merged", "finished", "closed", "unknown", "error"]) {
    listening.on(name, (value) => told.push([name, value]));
  }
  /** What was told by this name. */
  const all = (name) => told.filter(([each]) => each === name).map(([, value]) => value);
  return { told, messages, states, all };
}

/** What became of a promise, so that a test can look whether it is still open: `{ value }`, `{ error }`, or nothing yet. */
export function fate(promise) {
  const fate = {};
  promise.then(
    (value) => (fate.value = value ?? null),
    (error) => (fate.error = error.code ?? error.name),
  );
  return fate;
}

/** A server. What it is asked it notes in `attempts`, with the time; a test answers. */
export class Server {
  /** Each attempt to connect: `{ by, url, at, ... }`. */
  attempts = [];
  /** The POSTs. */
  posts = [];
  /** Refuses each WebSocket at once. */
  refusesSockets = false;
  #taken = new Map();

  get implementations() {
    const server = this;
    return {
      fetch: (url, init) => this.#fetch(url, init),
      WebSocket: class extends FakeSocket {
        constructor(url, protocols) {
          super(url, protocols);
          server.#attempted("ws", this);
          if (server.refusesSockets) queueMicrotask(() => this.refuse());
        }
      },
      EventSource: class extends FakeEventSource {
        constructor(url, init) {
          super(url, init);
          server.#attempted("eventsource", this);
        }
      },
    };
  }

  /** The next WebSocket that is opened. */
  socket() {
    return this.#next("ws", this.attempts);
  }

  /** The next event stream. */
  stream() {
    return this.#next("sse", this.attempts);
  }

  /** The next EventSource. */
  source() {
    return this.#next("eventsource", this.attempts);
  }

  /** The next POST. */
  post() {
    return this.#next("post", this.posts);
  }

  /** The next attempt by this transport, however long it takes. */
  async later(by) {
    const count = this.#taken.get(by) ?? 0;
    for (let waited = 0; this.order.filter((each) => each === by).length <= count; waited += STEP) {
      if (waited > LONGEST_WAIT) throw new Error(`there is no further ${by} but ${count}`);
      await step(STEP);
    }
    return this.#next(by, this.attempts);
  }

  /** The next WebSocket, opened from this id on. */
  async welcome(welcome) {
    const socket = await this.socket();
    return socket.welcome(welcome);
  }

  /** By which transports there were attempts. */
  get order() {
    return this.attempts.map(({ by }) => by);
  }

  /** The pauses between the attempts, in milliseconds. */
  get pauses() {
    return this.attempts.slice(1).map(({ at }, index) => at - this.attempts[index].at);
  }

  /** How many connections are open, or being opened. */
  get open() {
    return this.attempts.filter(({ isGone }) => !isGone).length;
  }

  async #next(by, list) {
    await settle();
    const index = this.#taken.get(by) ?? 0;
    const found = list.filter((each) => each.by === by)[index];
    if (!found) throw new Error(`there is no further ${by} but ${index}`);
    this.#taken.set(by, index + 1);
    return found;
  }

  #attempted(by, connection) {
    connection.by = by;
    connection.at = Date.now();
    this.attempts.push(connection);
  }

  #fetch(url, { method = "GET", headers, body, signal, credentials, cache }) {
    const exchange = new FakeExchange(url, { headers, body, signal, credentials });
    exchange.cache = cache;
    if (method === "POST") {
      exchange.by = "post";
      exchange.at = Date.now();
      this.posts.push(exchange);
    } else {
      this.#attempted("sse", exchange);
    }
    return exchange.response;
  }
}

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
class FakeSocket {
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
class FakeExchange {
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
class FakeEventSource {
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

/** A page: what browsers have and Node has not. */
export class Page {
  storage = new Map();
  #document = { visibilityState: "visible" };
  #navigator = { onLine: true, connection: Object.assign(new EventTarget(), { type: "wifi" }) };
  #window = new EventTarget();

  constructor() {
    const sessionStorage = {
      getItem: (key) => this.storage.get(key) ?? null,
      setItem: (key, value) => this.storage.set(key, value),
    };
    this.#define("document", this.#document);
    this.#define("navigator", this.#navigator);
    this.#define("sessionStorage", sessionStorage);
    this.#define("addEventListener", (...listener) => this.#window.addEventListener(...listener));
  }

  hide() {
    this.#see("hidden");
  }

  show() {
    this.#see("visible");
  }

  goOffline() {
    this.#navigator.onLine = false;
    this.#window.dispatchEvent(new Event("offline"));
  }

  goOnline() {
    this.#navigator.onLine = true;
    this.#window.dispatchEvent(new Event("online"));
  }

  /** Another network; or the same one, guessed anew. */
  connectBy(type) {
    this.#navigator.connection.type = type;
    this.#navigator.connection.dispatchEvent(new Event("change"));
  }

  putAway() {
    this.#window.dispatchEvent(new Event("pagehide"));
  }

  bringBack() {
    this.#window.dispatchEvent(new Event("pageshow"));
  }

  on(name, listener) {
    this.#window.addEventListener(name, listener);
  }

  #see(visibilityState) {
    this.#document.visibilityState = visibilityState;
    // It bubbles.
    this.#window.dispatchEvent(new Event("visibilitychange"));
  }

  #define(name, value) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    cleanups.push(() => {
      if (before) Object.defineProperty(globalThis, name, before);
      else delete globalThis[name];
    });
  }
}
