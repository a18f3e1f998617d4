// The server, whose every word a test writes. What the client opens a test takes from it in turn: `await server.socket()`,
// `await server.stream()`, `await server.post()`.

import { STEP, settle, step } from "./clock.js";
import { FakeEventSource, FakeExchange, FakeSocket } from "./connections.js";

/** How long a test waits for an attempt by the stopped clock, in milliseconds. */
const LONGEST_WAIT = 120_000;

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
