// The browser's own EventSource and WebSocket in a page, with nothing around them but a list of what they heard.
//
//     const page = await openPage(browser, fixture.url);
//     const sse = await page.eventSource({ channels: "news" });
//     const [first] = await sse.messages(1);
//
// Both note alike, so that a test reads the same for either: `{ kind, event, id, data }`, where the kind is `message`
// for what the application published, `notice` for what Dualcast says (`event` is then `gap`, `heartbeat` and so on,
// without the prefix that it has on an event stream), and `connection` for what the browser says: `open`, `error`,
// `close`.

import { deadline } from "./until.mjs";

/** The events of Dualcast itself. */
const notices = ["heartbeat", "gap", "merged", "finished", "closing"];

/** A page of the fixture at `url`, ready to connect. */
export async function openPage(browser, url) {
  return open(ClientPage, browser, url);
}

/** A page of this kind. */
export async function open(kind, browser, url) {
  const page = new kind(await browser.newPage(`${url}/page`));
  await page.prepare();
  return page;
}

export class ClientPage {
  #page;

  constructor(page) {
    this.#page = page;
  }

  /** What can be done with any page. */
  get tab() {
    return this.#page;
  }

  async prepare() {
    await this.#page.evaluate(prepare, { deadline, notices });
  }

  /**
   * Opens an EventSource on `/sse` with this query. It listens to `message`, to all of Dualcast's events and to
   * `events`, since an EventSource is deaf to names that nobody listens to. `at` is another origin than the page's own,
   * `path` another route than `/sse`.
   */
  async eventSource(query, { events = [], at = "", path = "/sse", withCredentials = false } = {}) {
    const url = `${at}${path}?${new URLSearchParams(query)}`;
    const open = (...args) => openEventSource(...args);
    return new Client(this.#page, await this.#page.evaluate(open, url, events, withCredentials));
  }

  /** Opens a WebSocket on `/ws` with this query. */
  async webSocket(query, { at = "" } = {}) {
    const url = `${at}/ws?${new URLSearchParams(query)}`;
    return new Client(this.#page, await this.#page.evaluate((...args) => openWebSocket(...args), url));
  }

  async evaluate(fn, ...args) {
    return this.#page.evaluate(fn, ...args);
  }

  /** Loads it anew, and makes it ready to connect. */
  async reload() {
    await this.#page.reload();
    await this.prepare();
  }

  async close() {
    await this.#page.close();
  }
}

/** One EventSource or WebSocket in a page. */
class Client {
  #page;
  #number;

  constructor(page, number) {
    this.#page = page;
    this.#number = number;
  }

  /** All that it heard up to now. */
  async heard() {
    return this.#page.evaluate((number) => clients[number].heard, this.#number);
  }

  /** All messages up to now, once there are so many. */
  async messages(count) {
    return this.#matching({ kind: "message" }, count);
  }

  /** The message of this number, counted from 1, once it is there. */
  async message(number) {
    return this.#page.evaluate(
      async (client, count) => (await clients[client].matching({ kind: "message" }, count))[count - 1],
      this.#number,
      number,
    );
  }

  /** The newest notice of that name, once there are so many. */
  async notice(event, { count = 1, ...rest } = {}) {
    return (await this.#matching({ kind: "notice", event, ...rest }, count)).at(-1);
  }

  /** The newest that the browser said of the connection, once it has said it so many times. */
  async connection(event, { count = 1, ...rest } = {}) {
    return (await this.#matching({ kind: "connection", event, ...rest }, count)).at(-1);
  }

  /** Waits until the server has said its first word, which comes before any message. */
  async opened() {
    await this.#page.evaluate((number) => clients[number].opened(), this.#number);
  }

  /** Sends a message, by WebSocket. */
  async send(message) {
    await this.#page.evaluate((number, text) => clients[number].end.send(text), this.#number, JSON.stringify(message));
  }

  async close() {
    await this.#page.evaluate((number) => clients[number].end.close(), this.#number);
  }

  async #matching(wanted, count) {
    const matching = (number, ...args) => clients[number].matching(...args);
    return this.#page.evaluate(matching, this.#number, wanted, count);
  }
}

/** In the page: what the functions above call. */
function prepare({ deadline, notices }) {
  globalThis.clients = [];
  // A test may hasten the page's clock, and not its own patience.
  const { setTimeout } = globalThis;

  class Noting {
    heard = [];
    #waiting = new Set();

    constructor(end) {
      this.end = end;
    }

    note(kind, event, id = null, data = null) {
      this.add({ kind, event, id, data });
    }

    add(entry) {
      this.heard.push(entry);
      for (const look of this.#waiting) look();
    }

    /** What has each property of `wanted`, or one of several values for it, once there are at least `count`. */
    matching(wanted, count) {
      const matches = (entry) => Object.entries(wanted).every(([name, value]) => [value].flat().includes(entry[name]));
      const found = [];
      let seen = 0;
      return new Promise((resolve, reject) => {
        const look = () => {
          // Only at what is new: there may be thousands.
          for (; seen < this.heard.length; seen++) if (matches(this.heard[seen])) found.push(this.heard[seen]);
          if (found.length < count) return;
          this.#waiting.delete(look);
          clearTimeout(timer);
          resolve([...found]);
        };
        const timer = setTimeout(() => {
          this.#waiting.delete(look);
          const what = `${count} of ${JSON.stringify(wanted)}, and had ${found.length}`;
          const last = JSON.stringify(this.heard.slice(-20)).slice(0, 4_000);
          reject(new Error(`waited ${deadline} ms in vain for ${what}; saw: ${last}`));
        }, deadline);
        this.#waiting.add(look);
        look();
      });
    }
  }

  globalThis.Noting = Noting;

  globalThis.openEventSource = (url, events, withCredentials) => {
    const client = new Noting(new EventSource(url, { withCredentials }));
    client.opened = () => client.matching({ event: "heartbeat" }, 1);
    for (const name of ["message", ...events]) {
      const note = ({ lastEventId, data }) => client.note("message", name, lastEventId, data);
      client.end.addEventListener(name, note);
    }
    for (const name of notices) {
      const note = ({ lastEventId, data }) => client.note("notice", name, lastEventId, JSON.parse(data));
      client.end.addEventListener(`dualcast:${name}`, note);
    }
    for (const name of ["open", "error"]) {
      client.end.addEventListener(name, () => client.note("connection", name, undefined, client.end.readyState));
    }
    return clients.push(client) - 1;
  };

  globalThis.openWebSocket = (url) => {
    const address = new URL(url, location);
    address.protocol = "ws:";
    const client = new Noting(new WebSocket(address));
    client.opened = () => client.matching({ event: "welcome" }, 1);
    client.end.binaryType = "arraybuffer";
    client.end.onopen = () => client.note("connection", "open");
    client.end.onerror = () => client.note("connection", "error", undefined, client.end.readyState);
    client.end.onclose = ({ code, reason, wasClean }) =>
      client.note("connection", "close", undefined, { code, reason, wasClean });
    client.end.onmessage = ({ data }) => {
      if (typeof data === "string") {
        const { control, id, ...rest } = JSON.parse(data);
        if (control) return client.note("notice", control, id, rest);
        const { channel, event, data: payload } = rest;
        return client.note("message", channel ? `${channel}/${event}` : event, id, payload);
      }
      // A line of JSON, and the bytes.
      const bytes = new Uint8Array(data);
      const lineEnd = bytes.indexOf(10);
      const { id, event } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, lineEnd)));
      client.note("message", event, id, { bytes: [...bytes.subarray(lineEnd + 1)] });
    };
    return clients.push(client) - 1;
  };
}
