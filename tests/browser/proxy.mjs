// A TCP proxy that takes the network away from under an EventSource or a WebSocket. A browser's own "offline" switch
// leaves connections that are already open alone.

import { once } from "node:events";
import net from "node:net";

/** Forwards a free port of this machine to `port` of this machine. */
export async function startProxy(port) {
  const proxy = new Proxy(port);
  await proxy.listen();
  return proxy;
}

class Proxy {
  #target;
  #server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
  #links = new Set();
  #dark = false;
  #refusing = false;
  #isSwallowing = false;
  #isDeafening = false;
  /** What has no answer. @type {RegExp | undefined} */
  #unanswered;
  /** How many bytes the next connection brings its client before it is cut. */
  #nextAllowance = Infinity;
  /** How many before it goes silent. */
  #nextAudible = Infinity;
  /** How many bytes may come behind the head of an upgrade. */
  #upgradedAudible = Infinity;
  /** What clients asked for, as `{ method, path, isUpgrade }`, as far as one request is sent after the other. */
  requests = [];

  constructor(target) {
    this.#target = target;
  }

  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get port() {
    return this.#server.address().port;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** How many connections the clients have open. */
  count() {
    return this.#links.size;
  }

  /** How many of them went silent. */
  countSilent() {
    return [...this.#links].filter(({ isFrozen }) => isFrozen).length;
  }

  /** Resets every open connection, towards the client and towards the server. New ones are welcome. */
  cut() {
    for (const link of this.#links) link.cut();
  }

  /** Resets those that went silent. */
  cutSilent() {
    for (const link of this.#links) if (link.isFrozen) link.cut();
  }

  /** Cuts every open connection once it has brought its client so many more bytes, in the middle of whatever it is. */
  cutAfter(bytes) {
    for (const link of this.#links) link.cutAfter(bytes);
  }

  /** Cuts the connection that comes next once it has brought its client so many bytes. */
  cutNextAfter(bytes) {
    this.#nextAllowance = bytes;
  }

  /** Resets every open connection, and new ones as they come, until `heal()`. */
  refuse() {
    this.#refusing = true;
    this.cut();
  }

  /**
   * Goes silent, as when a cable is pulled: what comes from either side, be it data or an end, never reaches the other,
   * and neither is told. Holds for new connections too until `heal()`.
   */
  blackhole() {
    this.#dark = true;
    for (const link of this.#links) link.freeze();
  }

  /** From here on what clients send gets lost, while they go on hearing. Holds for new connections too until `heal()`. */
  swallow() {
    this.#isSwallowing = true;
    for (const link of this.#links) link.swallow();
  }

  /** From here on clients hear nothing, while what they send goes through. Holds for new connections too until `heal()`. */
  deafen() {
    this.#isDeafening = true;
    for (const link of this.#links) link.deafen();
  }

  /**
   * Lets connections be upgraded, but brings no more than so many bytes behind the head: then both sides hear nothing any more, and
   * are not told. Holds for connections that are upgraded from here on, until `heal()`.
   */
  stallUpgrades(bytes = 0) {
    this.#upgradedAudible = bytes;
  }

  /** Goes silent on the connection that comes next, once it has brought its client so many bytes. */
  stallNextAfter(bytes) {
    this.#nextAudible = bytes;
  }

  /** Goes silent on each connection on which such a path is asked for, until `heal()`. */
  stallRequests(pattern) {
    this.#unanswered = pattern;
  }

  /** Forwards new connections again. Those that went silent stay so for good, until they are cut. */
  heal() {
    this.#dark = false;
    this.#refusing = false;
    this.#isSwallowing = false;
    this.#isDeafening = false;
    this.#unanswered = undefined;
    this.#upgradedAudible = Infinity;
  }

  async close() {
    this.#server.close();
    this.cut();
    await once(this.#server, "close");
  }

  #accept(client) {
    // An error is followed by "close", which is all that we act on.
    client.on("error", () => {});
    if (this.#refusing) return reset(client);
    const server = net.connect({ port: this.#target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const link = new Link(client, server, () => this.#upgradedAudible);
    this.#links.add(link);
    client.on("data", (chunk) => {
      const path = this.#note(chunk.toString("latin1"));
      if (path && this.#unanswered?.test(path)) link.freeze();
    });
    client.once("close", () => this.#links.delete(link));
    if (this.#dark) link.freeze();
    if (this.#isSwallowing) link.swallow();
    if (this.#isDeafening) link.deafen();
    link.cutAfter(this.#nextAllowance);
    link.stallAfter(this.#nextAudible);
    this.#nextAllowance = this.#nextAudible = Infinity;
  }

  /** Answers the path that is asked for. */
  #note(text) {
    const [, method, path] = text.match(/^([A-Z]+) (\S+) HTTP\/1\.1\r\n/) ?? [];
    if (method) this.requests.push({ method, path, isUpgrade: /\r\nupgrade: websocket\r\n/i.test(text) });
    return path;
  }
}

/** One client's connection and the one to the server that belongs to it. */
class Link {
  #client;
  #ends;
  isFrozen = false;
  #isSwallowing = false;
  #isDeaf = false;
  /** How many bytes the client may still get before it is cut. */
  #allowance = Infinity;
  /** How many before it hears nothing any more. */
  #audible = Infinity;
  #upgradedAudible;

  constructor(client, server, upgradedAudible) {
    this.#client = client;
    this.#ends = [client, server];
    this.#upgradedAudible = upgradedAudible;
    server.on("error", () => {});
    this.#forward(client, server);
    this.#forward(server, client);
  }

  cut() {
    for (const end of this.#ends) reset(end);
  }

  cutAfter(bytes) {
    this.#allowance = bytes;
  }

  stallAfter(bytes) {
    this.#audible = bytes;
  }

  swallow() {
    this.#isSwallowing = true;
  }

  deafen() {
    this.#isDeaf = true;
  }

  freeze() {
    this.isFrozen = true;
    // Unread, so that the sender's window fills as it would with nobody there.
    for (const end of this.#ends) end.pause();
  }

  // By hand and not with `pipe`, which can't be stopped from passing on an end or from reading on after a drain.
  #forward(from, to) {
    from.on("data", (chunk) => {
      if (this.isFrozen) return;
      if (to === this.#client ? this.#isDeaf : this.#isSwallowing) return;
      if (to === this.#client && !this.#allows(chunk)) return;
      if (to.write(chunk)) return;
      from.pause();
      to.once("drain", () => this.isFrozen || from.resume());
    });
    from.on("end", () => this.isFrozen || to.end());
    from.on("close", () => {
      const endedWell = from.readableEnded && from.writableFinished;
      if (!endedWell && !this.isFrozen) reset(to);
    });
  }

  /** Whether the client may get all of it. Else it gets what it may, and then the cut. */
  #allows(chunk) {
    // A server writes the head of its answer at once.
    if (chunk.subarray(0, 13).toString("latin1") === "HTTP/1.1 101 ") {
      const head = chunk.indexOf("\r\n\r\n") + 4;
      this.stallAfter(Math.min(this.#audible, head + this.#upgradedAudible()));
    }
    this.#audible -= chunk.length;
    if (this.#audible < 0) {
      this.freeze();
      this.#client.write(chunk.subarray(0, chunk.length + this.#audible));
      return false;
    }
    this.#allowance -= chunk.length;
    if (this.#allowance > 0) return true;
    this.freeze();
    this.#client.write(chunk.subarray(0, chunk.length + this.#allowance), () => this.cut());
    return false;
  }
}

/**
 * Resets a connection, or closes it where it is about to end anyway: Node 20 can't reset a socket whose end is on the
 * way (EINVAL), loses its handle at that, and then the process never exits.
 */
function reset(socket) {
  const isEnding = socket.writableEnded && !socket.writableFinished;
  if (isEnding || socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}
