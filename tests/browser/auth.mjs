// Users of `examples/auth`, by each way of showing who they are, and what they hear by either transport.
//
//     const alice = await logIn.token(server.url, "alice");
//     const heard = await alice.listen("ws", "/rooms/lobby/ws");
//     await alice.say("lobby", { event: "note", data: "hello" });

import assert from "node:assert/strict";
import WebSocket from "ws";
import { startCurl } from "./curl.mjs";
import { until } from "./until.mjs";

/** Logs in: each way, as a user. A token in a header and one among the subprotocols are two ways of showing one thing. */
export const logIn = {
  cookie: async (url, name) => {
    const body = new URLSearchParams({ name, password: name });
    const response = await fetch(`${url}/login`, { method: "POST", body, redirect: "manual" });
    assert.equal(response.status, 303);
    return new User(url, { secret: response.headers.get("set-cookie").match(/^login=(\w+); /)[1], show: (secret) => ({ headers: { Cookie: `x=y; login=${secret}` } }) });
  },
  token: async (url, name) => new User(url, { secret: await fetchToken(url, name), show: bearer }),
  subprotocol: async (url, name) => new User(url, { secret: await fetchToken(url, name), show: bearer, showInSocket: (token) => ({ protocols: ["dualcast.v1", `dualcast.token.${token}`] }) }),
  ticket: async (url, name) => {
    const ticket = async (secret) => ({ query: `?ticket=${await fetchTicket(url, bearer(secret).headers)}` });
    return new User(url, { secret: await fetchToken(url, name), show: ticket });
  },
};

const bearer = (token) => ({ headers: { Authorization: `Bearer ${token}` } });

export async function fetchToken(url, name) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`${url}/tokens`, { method: "POST", headers, body: JSON.stringify({ name, password: name }) });
  assert.equal(response.status, 200);
  return (await response.json()).token;
}

export async function fetchTicket(url, headers) {
  const response = await fetch(`${url}/tickets`, { method: "POST", headers });
  assert.equal(response.status, 200);
  return (await response.json()).ticket;
}

/** Nobody, who shows nothing. */
export function nobody(url) {
  return new User(url, { show: () => ({}) });
}

/** Somebody who shows this. */
export function stranger(url, shown) {
  return new User(url, { show: () => shown });
}

class User {
  #url;
  #show;
  #showInSocket;

  constructor(url, { secret, show, showInSocket = show }) {
    Object.assign(this, { secret });
    [this.#url, this.#show, this.#showInSocket] = [url, show, showInSocket];
  }

  /** A request as this user. Answers the status and the JSON. */
  async ask(path, { method = "POST", body, headers } = {}) {
    const { headers: shown, query = "" } = await this.#show(this.secret);
    const json = body && { "Content-Type": "application/json" };
    const response = await fetch(`${this.#url}${path}${query}`, { method, body: JSON.stringify(body), headers: { ...shown, ...json, ...headers } });
    const text = await response.text();
    return { status: response.status, headers: response.headers, ...(text.startsWith("{") && JSON.parse(text)) };
  }

  async say(room, message, headers) {
    return this.ask(`/rooms/${room}/say`, { body: message, headers });
  }

  /** Opens a stream, and waits until the server has said its first word or refused it. */
  async listen(transport, path, { origin } = {}) {
    const show = transport === "ws" ? this.#showInSocket : this.#show;
    const { headers = {}, query = "", protocols = [] } = await show(this.secret);
    const url = `${this.#url}${path}${query}`;
    const stream = transport === "ws" ? new Socket(url.replace("http", "ws"), protocols, { headers, origin }) : new EventStream(url, { ...headers, ...(origin && { Origin: origin }) });
    await until(() => stream.status, () => `${path} answers`);
    if (stream.status < 300) await stream.notice("welcome");
    return stream;
  }
}

/** What both kinds of stream can be asked. */
class Heard {
  /** The notes, once there are so many. */
  async notes(count) {
    const notes = () => this.all.filter(({ event }) => event === "note");
    await until(() => notes().length >= count, () => `there are ${count} notes in ${JSON.stringify(this.all)}`);
    return notes();
  }

  /** The newest of Dualcast's own of this name, once there are so many. */
  async notice(name, count = 1) {
    const notices = () => this.all.filter(({ control }) => control === name);
    await until(() => notices().length >= count, () => `there is a ${name} in ${JSON.stringify(this.all)}`);
    return notices().at(-1);
  }

  /** Why it ended, once it has. */
  async ended() {
    const { reason } = await this.notice("closing");
    await until(() => this.isOver(), () => "the connection ends");
    return reason;
  }
}

class EventStream extends Heard {
  #curl;

  constructor(url, headers) {
    super();
    this.#curl = startCurl("-N", "-i", ...Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]), url);
  }

  get status() {
    return Number(this.#curl.output.match(/^HTTP\/1\.1 (\d+) [^]*\r\n\r\n/)?.[1]);
  }

  get all() {
    let isFirst = true;
    return this.#curl.events.map(({ id, event = "message", data }) => {
      const notice = event.match(/^dualcast:(.*)/)?.[1];
      const control = isFirst && notice === "heartbeat" ? "welcome" : notice;
      isFirst = false;
      return notice ? { control, id, ...JSON.parse(data) } : { id, event, data: JSON.parse(data) };
    });
  }

  isOver() {
    return this.#curl.hasEnded;
  }

  async leave() {
    await this.#curl.kill();
  }
}

class Socket extends Heard {
  #socket;
  all = [];
  status;
  /** The close code, once it is closed. */
  code;

  constructor(url, protocols, options) {
    super();
    const socket = (this.#socket = new WebSocket(url, protocols, options));
    socket.on("upgrade", ({ statusCode }) => (this.status = statusCode));
    socket.on("unexpected-response", (_, { statusCode }) => {
      this.status = statusCode;
      socket.terminate();
    });
    socket.on("error", () => {});
    socket.on("message", (data) => this.all.push(JSON.parse(data)));
    socket.on("close", (code) => (this.code = code));
  }

  get protocol() {
    return this.#socket.protocol;
  }

  isOver() {
    return this.code !== undefined;
  }

  /** Sends a message, and answers the reply or error. */
  async ask(message) {
    const ref = this.all.length + Math.random();
    this.#socket.send(JSON.stringify({ ...message, ref }));
    const answer = () => this.all.find((heard) => heard.ref === ref);
    await until(answer, () => `${JSON.stringify(message)} is answered`);
    return answer();
  }

  async leave() {
    this.#socket.terminate();
  }
}
