// Dualcast's client: one connection to a server of Dualcast's, by WebSocket or Server-Sent Events, that comes back by itself, misses
// nothing without saying so, and gives a page nothing twice. See docs/client.md.
//
//     import { connect } from "/dualcast.js";
//     const live = connect("/rooms/42");
//     live.on("note", (note, { id }) => show(note));
//     live.on("gap", ({ reason }) => readAnew());
//     await live.send("note", { text: "hello" });

import { Live } from "./dualcast/live.js";

export { Channel } from "./dualcast/channel.js";
export { LiveError } from "./dualcast/error.js";
export { createEventStreamParser } from "./dualcast/event-stream.js";
export { Live };

/** @typedef {import("./dualcast/options.js").Address} Address */
/** @typedef {import("./dualcast/options.js").Options} Options */
/** @typedef {import("./dualcast/connection.js").State} State */
/** @typedef {import("./dualcast/listening.js").OwnEvents} OwnEvents */
/** @typedef {import("./dualcast/stage.js").Meta} Meta */
/** @typedef {import("./dualcast/stage.js").Item} Item */
/** @typedef {import("./dualcast/cursors.js").Gap} Gap */

/**
 * Connects, and stays so.
 *
 * @template {Record<string, any>} [Events=Record<string, any>] what the events of the application carry
 * @param {Address} address a URL at which the server takes WebSocket, Server-Sent Events and POSTs, or one for each
 * @param {Options} [options]
 * @returns {Live<Events>}
 */
export function connect(address, options) {
  return new Live(address, options);
}
