// A client of a server that a test plays, and what it told.

import { connect } from "../../js/dualcast.js";
// It is loaded when it is wanted, which takes longer than a promise.
import "../../js/dualcast/event-source.js";
import { afterwards } from "./cleanup.js";
import { settle } from "./clock.js";
import { Server } from "./server.js";

/** A client of a server, and what it told, in order. */
export function client(server, options = {}) {
  const live = connect("https://example.com/room", { ...server.implementations, ...options });
  afterwards(() => live.close());
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

/** A client on a WebSocket. */
export async function onSocket(options = {}) {
  const server = new Server();
  const page = client(server, { transport: "ws", ...options });
  const socket = await server.welcome({ id: "a-1" });
  return { server, socket, ...page };
}

/** A client on an event stream. */
export async function onStream(options = {}) {
  const server = new Server();
  const page = client(server, { transport: "sse", ...options });
  const stream = (await server.stream()).welcome({ id: "a-1" });
  await settle();
  return { server, stream, ...page };
}

/** The data of the messages that a client said on a WebSocket. */
export const sent = (socket) => socket.heard.filter(({ event }) => event).map(({ data }) => data);
/** The data of those that it posted. */
export const posted = (server) => server.posts.map(({ body }) => body.data);

/** A client on the event stream, since its WebSockets are refused. */
export async function fallenBack(options = {}) {
  const server = new Server();
  server.refusesSockets = true;
  const page = client(server, options);
  const stream = (await server.stream()).welcome({ id: "a-1" });
  await settle();
  server.refusesSockets = false;
  return { server, stream, ...page };
}

/** A client on an event stream, which follows a channel "b" beside the route's own, "room". */
export async function streaming(options = {}) {
  const server = new Server();
  const page = client(server, { transport: "sse", ...options });
  const channel = page.live.subscribe("b");
  const stream = welcome(await server.stream());
  await channel.ready;
  return { server, page, stream, channel, b: notesOf(channel) };
}

/** Opens a stream as a route does that follows all channels which it is asked for. */
export function welcome(stream, more = {}) {
  return stream.welcome({ id: stream.cursor ?? "a-1", channels: ["room", ...(stream.channels?.split(",") ?? [])], ...more });
}
