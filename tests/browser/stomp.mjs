// Clients of `examples/stomp`: the published `@stomp/stompjs`, which knows nothing of Dualcast, and one that sends what it is told.
//
//     const client = await connectStomp(server.url);
//     const news = client.follow("/topic/news");
//     await client.send("/topic/news", "hello");
//     await news.bodies(1);

import { Client, Versions } from "@stomp/stompjs";
import WebSocket from "ws";
import { until } from "./until.mjs";

/** Connects `@stomp/stompjs`. `options` are its own; `origin` is the page that a browser would name. */
export async function connectStomp(url, { origin, versions = ["1.2"], ...options } = {}) {
  const client = new StompClient(url, origin, { stompVersions: new Versions(versions), ...options });
  await client.connections(1);
  return client;
}

class StompClient {
  #client;
  #connected = 0;
  #followed = [];
  #receipts = 0;
  /** The close code of each connection that ended. */
  closed = [];
  /** The ERROR frames. */
  errors = [];
  /** Messages of subscriptions that it has left. */
  strays = [];
  /** Heart-beats that came and that it sent. */
  beats = { in: 0, out: 0 };

  constructor(url, origin, options) {
    this.#client = new Client({
      // Soon, and by itself: it is what a test waits for.
      reconnectDelay: 50,
      heartbeatIncoming: 0,
      heartbeatOutgoing: 0,
      webSocketFactory: () => new WebSocket(`${url.replace("http", "ws")}/stomp`, this.#client.stompVersions.protocolVersions(), { origin }),
      debug: (line) => {
        if (line === "<<< PONG") this.beats.in += 1;
        if (line === ">>> PING") this.beats.out += 1;
      },
      onConnect: () => {
        for (const followed of this.#followed) followed.begin(this.#client);
        this.#connected += 1;
      },
      onStompError: ({ headers, body }) => this.errors.push({ ...headers, body }),
      onUnhandledMessage: ({ body }) => this.strays.push(body),
      onWebSocketClose: ({ code }) => this.closed.push(code),
      ...options,
    });
    this.#client.activate();
  }

  get version() {
    return this.#client.connectedVersion;
  }

  /** Waits until it was connected so often. */
  async connections(count) {
    await until(() => this.#connected >= count, () => `it was connected ${count} times: ${this.#connected}, ${this.closed}`);
  }

  /** Follows a destination: now, and each time it comes back from where it was. */
  follow(destination, headers = {}) {
    const followed = new Followed(destination, headers, () => this.#receipt());
    this.#followed.push(followed);
    followed.begin(this.#client);
    return followed;
  }

  /** Sends a message, and waits for its receipt. Answers the message's id. */
  async send(destination, body, { headers = {}, ...rest } = {}) {
    const { receipt, done } = this.#receipt();
    this.#client.publish({ destination, headers: { ...headers, receipt }, ...(typeof body === "string" ? { body } : { binaryBody: body }), ...rest });
    return (await done())["last-event-id"];
  }

  /** Sends without waiting for anything. */
  sendOnly(frame) {
    this.#client.publish(frame);
  }

  /** DISCONNECT, its receipt, and the end. */
  async leave() {
    await this.#client.deactivate();
  }

  /** A receipt to ask for, and what waits for it. */
  #receipt() {
    const receipt = `receipt-${++this.#receipts}`;
    let headers;
    this.#client.watchForReceipt(receipt, (frame) => (headers = frame.headers));
    const done = async () => {
      await until(() => headers, () => `${receipt} comes; there were errors: ${JSON.stringify(this.errors)}`);
      return headers;
    };
    return { receipt, done };
  }
}

/** One destination that is followed, over all connections. */
class Followed {
  #subscription;
  #done;
  /** What came: `{ body, id, … }` with the headers. */
  messages = [];

  constructor(destination, headers, ask) {
    Object.assign(this, { destination, headers, ask, cursor: undefined });
  }

  /** Begins anew, where it was. */
  begin(client) {
    const { receipt, done } = this.ask();
    const resume = this.cursor && { "last-event-id": this.cursor };
    const note = (message) => {
      this.cursor = message.headers["message-id"];
      this.messages.push({ ...message.headers, body: message.body, bytes: message.binaryBody });
    };
    this.#subscription = client.subscribe(this.destination, note, { receipt, ...this.headers, ...resume });
    this.#done = done().then((headers) => (this.cursor ??= headers["last-event-id"]));
    this.#done.catch(() => {});
  }

  /** Waits until the server follows it. */
  async begun() {
    await this.#done;
  }

  /** Leaves, and waits until the server says so. */
  async end() {
    const { receipt, done } = this.ask();
    this.#subscription.unsubscribe({ receipt });
    await done();
  }

  /** The bodies, once there are so many. */
  async bodies(count) {
    await until(
      () => this.messages.length >= count,
      () => `there are ${count} messages of ${this.destination} in: ${JSON.stringify(this.messages)}`,
    );
    return this.messages.map(({ body }) => body);
  }
}

/** A WebSocket that sends text as it is, and notes the frames that come. */
export async function connectPlainly(url, { protocols = ["v12.stomp"], origin } = {}) {
  const plain = new Plain(new WebSocket(`${url.replace("http", "ws")}/stomp`, protocols, { origin }));
  await until(() => plain.isOpen || plain.refusal || plain.code, () => "the WebSocket opens or is refused");
  return plain;
}

class Plain {
  #socket;
  isOpen = false;
  /** The status with which it was refused. */
  refusal;
  /** The code with which it was closed. */
  code;
  /** All that came, one message after the other. */
  text = "";

  constructor(socket) {
    this.#socket = socket;
    socket.on("open", () => (this.isOpen = true));
    socket.on("message", (data) => (this.text += data));
    socket.on("close", (code) => (this.code = code));
    socket.on("unexpected-response", (_, { statusCode }) => {
      this.refusal = statusCode;
      socket.terminate();
    });
    socket.on("error", () => {});
  }

  get protocol() {
    return this.#socket.protocol;
  }

  send(text) {
    this.#socket.send(text);
  }

  /** Reads nothing, as a client that hangs, until `readOn()`. */
  hang() {
    this.#socket.pause();
  }

  readOn() {
    this.#socket.resume();
  }

  /** What came, once it is like this. */
  async says(pattern) {
    await until(() => pattern.test(this.text), () => `it says ${pattern}; it says: ${JSON.stringify(this.text)}`);
    return this.text;
  }

  /** The code, once it is closed. */
  async closes() {
    await until(() => this.code, () => `it is closed; it says: ${JSON.stringify(this.text)}`);
    return this.code;
  }

  async leave() {
    this.#socket.close();
    await this.closes();
  }
}
