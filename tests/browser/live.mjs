// Dualcast's own client in a page, with nothing around it but a list of what it told.
//
//     inEachBrowser((test) => {
//       test("does this and that", async ({ fixture, page }) => {
//         const live = await page.connect("/live?channels=news", { transport: "sse" });
//         await live.opened();
//         …
//       });
//     }, openLivePage);
//
// An option that is a function is made in the page: it has to be an arrow function or begin with `function`, and sees the
// page and nothing around it here.
//
// What it told is noted in order: `{ kind: "message", event, data, id, channel, volatile }` for each message, and for the
// rest its name as the kind and what the page was told: `{ kind: "state", status, … }`, `{ kind: "gap", from, … }`,
// `{ kind: "recovered", count, transport }`. What a channel told that the page joined has the channel's name as `at`, and
// how its `ready` ended as `{ kind: "ready" }` or `{ kind: "refused", code }`.

import { ClientPage, open } from "./clients.mjs";

/** A page of the fixture at `url`, ready to connect. */
export async function openLivePage(browser, url) {
  return open(LivePage, browser, url);
}

class LivePage extends ClientPage {
  async prepare() {
    await super.prepare();
    await this.evaluate(prepare);
  }

  /** Loads it anew, as a person would. Answers what each client had told up to then. */
  async reload() {
    await super.reload();
    return this.evaluate(() => JSON.parse(sessionStorage.getItem("heard")));
  }

  /** Connects the client. `events` are those that it is asked for by name: an EventSource is deaf to others. */
  async connect(url, options = {}, { events = [] } = {}) {
    const made = Object.entries(options).map(([name, value]) =>
      typeof value === "function" ? [name, { made: String(value) }] : [name, { value }],
    );
    return new Live(this, await this.evaluate((...args) => connectLive(...args), url, made, events));
  }
}

/** One client in a page, or a channel that it joined. */
class Live {
  #page;
  #number;
  #at;

  constructor(page, number, at = null) {
    this.#page = page;
    this.#number = number;
    this.#at = at;
  }

  /** What `fn(client, ...args)` returns, or resolves to, in the page: `client` is the `Live` there, or the `Channel`. */
  async evaluate(fn, ...args) {
    const call = (number, at, source, args) => {
      const { end, channels } = lives[number];
      return (0, eval)(`(${source})`)(at === null ? end : channels.get(at), ...args);
    };
    return this.#page.evaluate(call, this.#number, this.#at, String(fn), args);
  }

  /** All that it told up to now. */
  async heard() {
    const heard = await this.#page.evaluate((number) => lives[number].heard, this.#number);
    return heard.filter(({ at }) => at === this.#at).map(({ at, ...told }) => told);
  }

  /** All messages up to now, once there are so many. */
  async messages(count) {
    return this.#matching({ kind: "message" }, count);
  }

  /** Their data, which is what most tests look at. */
  async data(count) {
    return (await this.messages(count)).map(({ data }) => data);
  }

  /**
   * What a page has to get right, in its order: the data of each message, and between them `{ recovered: 3 }`, `{ gap: "trimmed" }`,
   * `{ merged: 2 }` and `{ finished: "news" }`. Once there are so many of them.
   */
  async story(count = 0) {
    const kinds = ["message", "recovered", "gap", "merged", "finished"];
    const found = await this.#matching({ kind: kinds }, count);
    return found.map(({ kind, data, count, reason, channel }) => {
      if (kind === "message") return data;
      return { [kind]: { recovered: count, gap: reason, merged: count, finished: channel }[kind] };
    });
  }

  /** The newest that it told of this kind, and with these properties, once it has told so many. */
  async told(kind, { count = 1, ...rest } = {}) {
    return (await this.#matching({ kind, ...rest }, count)).at(-1);
  }

  /** Waits until a connection is open, so many times, by this transport or any. */
  async opened({ count = 1, ...rest } = {}) {
    return this.told("state", { status: "open", count, ...rest });
  }

  async state() {
    return this.evaluate(({ state }) => state);
  }

  async cursor() {
    return this.evaluate(({ cursor }) => cursor);
  }

  /** Sends a message and answers what became of it: `{ reply }`, or `{ error: { code, message, retry, status } }`. */
  async send(event, data, options = {}) {
    const send = (live, ...args) =>
      live.send(...args).then(
        (reply) => ({ reply }),
        ({ code, message, retry, status }) => ({ error: { code, message, retry, status } }),
      );
    return this.evaluate(send, event, data, options);
  }

  /** Joins a channel: a client of its own, of which only messages of that channel, `ready` and its fate are noted. */
  async subscribe(name, options = {}) {
    await this.#page.evaluate((...args) => joinChannel(...args), this.#number, name, options);
    return new Live(this.#page, this.#number, name);
  }

  async unsubscribe() {
    await this.evaluate((channel) => channel.unsubscribe());
  }

  async reconnect() {
    await this.evaluate((live) => live.reconnect());
  }

  async close() {
    await this.evaluate((live) => live.close());
  }

  async #matching(wanted, count) {
    const matching = (number, ...args) => lives[number].matching(...args);
    const found = await this.#page.evaluate(matching, this.#number, { at: this.#at, ...wanted }, count);
    return found.map(({ at, ...told }) => told);
  }
}

/** In the page: what the functions above call. */
async function prepare() {
  const { connect } = await import("/dualcast.js");
  /** What the client tells of itself, beside messages. */
  const own = ["state", "gap", "recovered", "merged", "finished", "closed", "unsent", "unknown", "error"];
  globalThis.lives = [];
  // Before the client's own listener, and in the same task as that.
  addEventListener("pagehide", () => sessionStorage.setItem("heard", JSON.stringify(lives.map(({ heard }) => heard))));

  /** Undefined is left out on the way to the test. */
  const note = (client, at, kind, value) => {
    const plain = value instanceof Error ? { code: value.code, message: value.message } : value;
    client.add({ at, kind, ...(typeof plain === "object" ? plain : { value: plain }) });
  };
  const listen = (client, at, from, names) => {
    from.on("*", ({ data, ...meta }) => {
      client.add({ at, kind: "message", data: data instanceof Uint8Array ? { bytes: [...data] } : data, ...meta });
    });
    for (const name of names) from.on(name, (value) => note(client, at, name, value));
  };

  globalThis.connectLive = (url, options, events) => {
    const made = options.map(([name, { made, value }]) => [name, made ? (0, eval)(`(${made})`) : value]);
    const live = connect(url, Object.fromEntries(made));
    const client = new Noting(live);
    client.channels = new Map();
    // It tells nothing before we listen, but the first state.
    note(client, null, "state", live.state);
    listen(client, null, live, own);
    for (const event of events) live.onMessage(event, () => {});
    return lives.push(client) - 1;
  };

  globalThis.joinChannel = (number, name, options) => {
    const client = lives[number];
    const channel = client.end.subscribe(name, options);
    client.channels.set(name, channel);
    listen(client, name, channel, ["gap", "merged", "finished", "closed"]);
    channel.ready.then(
      () => note(client, name, "ready"),
      (error) => note(client, name, "refused", error),
    );
  };
}
