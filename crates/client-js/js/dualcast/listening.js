// What the whole client and each joined channel have in common: one listens to them.

/** @typedef {import("./cursors.js").Gap} Gap */
/** @typedef {import("./stage.js").Item} Item */
/** @typedef {import("./stage.js").Meta} Meta */
/** @typedef {import("./stage.js").Stage} Stage */

/**
 * What the client tells of itself.
 *
 * @typedef {{
 *   state: import("./connection.js").State, // each change
 *   gap: Gap, // messages are missing here
 *   recovered: { count: number, transport: string }, // after an interruption the page has all again, so many of them just now
 *   merged: { channel: string, count: number }, // so many were left out for newer ones of the same key, as the route wants it
 *   finished: { channel: string }, // a channel has ended
 *   closed: any, // it stopped: the last state, or on a `Channel` the error, if it was one
 *   unsent: number, // how many messages have no answer yet
 *   unknown: unknown, // what the server said and this client does not know
 *   error: unknown, // what a handler threw, or a function of the page that the client asks
 *   "*": Item, // each message
 * }} OwnEvents
 */

/**
 * @template {Record<string, any>} Events
 * @template {string} Name
 * @typedef {Name extends keyof OwnEvents ? (value: OwnEvents[Name]) => unknown
 *   : (data: Events[Name], meta: Meta) => unknown} HandlerOf
 */

/** @template {Record<string, any>} [Events=Record<string, any>] */
export class Listening {
  #stage;

  /** @param {Stage} stage */
  constructor(stage) {
    this.#stage = stage;
  }

  /**
   * Hears an event of the application, or what becomes of the stream: see `OwnEvents`. Answers what takes the handler away again. What a
   * handler throws is reported, and stops nothing.
   *
   * @template {keyof OwnEvents | (keyof Events & string)} Name
   * @param {Name} name
   * @param {HandlerOf<Events, Name>} handler
   * @returns {() => void}
   */
  on(name, handler) {
    return this.#stage.on(name, /** @type {any} */ (handler));
  }

  /**
   * The same, for an event of the application that has a name of the client's own.
   *
   * @template {keyof Events & string} Name
   * @param {Name} event
   * @param {(data: Events[Name], meta: Meta) => unknown} handler
   * @returns {() => void}
   */
  onMessage(event, handler) {
    return this.#stage.onMessage(event, handler);
  }

  /** All messages from now on, and gaps where they are, until it is over. @returns {AsyncIterableIterator<Item | { gap: Gap }>} */
  [Symbol.asyncIterator]() {
    return this.#stage.iterate();
  }
}
