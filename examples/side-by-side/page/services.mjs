// What a pane may be served by: the browser's own EventSource and WebSocket, and Dualcast's client.

import { DualcastClient } from "./dualcast-client.mjs";
import { ServerSentEvents } from "./server-sent-events.mjs";
import { WebSocketMessages } from "./web-socket.mjs";
import { transportNames } from "./words.mjs";

/**
 * @typedef {object} Connection
 * @property {"sse" | "ws"} transport which it has, or tries
 * @property {string} tells how it stands, as far as it tells that itself
 * @property {(text: string) => Promise<string>} send sends a note, and answers its id
 * @property {() => void} close
 */

/**
 * @typedef {object} Service
 * @property {string} title
 * @property {string} name what one switches to
 * @property {string} teller who says how the connection stands
 * @property {string} heard what the pane hears for the last time before a silence
 * @property {string} way by which a note goes
 * @property {string} switching what the button says that switches the transport
 * @property {(connection: Connection | undefined) => Service} other what that button switches to
 * @property {"heartbeats" | "upgrades"} privation what a button takes away from it
 * @property {(
 *   query: () => URLSearchParams, cursor: () => string | null, listener: import("./pane.mjs").Listener
 * ) => Connection} connect
 */

const ofTheBrowser = {
  heard: "last sign of life",
  switching: "Switch transport",
  privation: "heartbeats",
};

/** @type {Service} */
export const eventSource = {
  ...ofTheBrowser,
  title: transportNames.sse,
  name: transportNames.sse,
  teller: "EventSource says:",
  way: "A note, sent by POST",
  other: () => webSocket,
  connect: (query, cursor, listener) => new ServerSentEvents(query, cursor, listener),
};

/** @type {Service} */
export const webSocket = {
  ...ofTheBrowser,
  title: transportNames.ws,
  name: transportNames.ws,
  teller: "WebSocket says:",
  way: "A note, sent by WebSocket message",
  other: () => eventSource,
  connect: (query, cursor, listener) => new WebSocketMessages(query, cursor, listener),
};

/** @type {Service} */
export const dualcast = dualcastOn("auto");

/** @param {"auto" | "ws" | "sse"} choice @returns {Service} */
function dualcastOn(choice) {
  const isAuto = choice === "auto";
  return {
    title: "Dualcast’s client",
    name: isAuto ? choice : transportNames[choice],
    teller: "The client says:",
    heard: "last message",
    way: "A note, sent over what it has",
    switching: isAuto ? "Switch transport" : "Back to auto",
    other: (connection) => (isAuto ? dualcastOn(connection?.transport === "ws" ? "sse" : "ws") : dualcast),
    privation: "upgrades",
    connect: (query, cursor, listener) => new DualcastClient(choice, query, cursor, listener),
  };
}
