// The client, as a page sees it.

import { createConnection } from "./connection.js";
import { Listening } from "./listening.js";

/** @typedef {import("./options.js").Address} Address */
/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./outbox.js").Policy} Policy */

/**
 * The whole of it: hears the messages of the route's own channels.
 *
 * @template {Record<string, any>} [Events=Record<string, any>]
 * @extends {Listening<Events>}
 */
export class Live extends Listening {
  #connection;

  /**
   * @param {Address} address
   * @param {Options} [options]
   */
  constructor(address, options = {}) {
    const connection = createConnection(address, options);
    super(connection.stage);
    this.#connection = connection;
  }

  /** How it stands: the same object until that changes. */
  get state() {
    return this.#connection.state();
  }

  /** The id up to which the page has heard all of the route's own channels: a `position` for another client. */
  get cursor() {
    return this.#connection.cursor();
  }

  /** How many messages have no answer yet. */
  get unsent() {
    return this.#connection.unsent();
  }

  /**
   * Sends a message, and answers the data of the reply.
   *
   * @template {keyof Events & string} Name
   * @param {Name} event
   * @param {Events[Name]} [data] what JSON can hold
   * @param {{ key?: string | undefined, whileAway?: Policy | undefined }} [options] `key`: the same for a message that is sent again, so that it acts once
   * @returns {Promise<any>} rejects with a `LiveError`
   */
  send(event, data, { key, whileAway } = {}) {
    return this.#connection.send({ event, data, key }, whileAway);
  }

  /**
   * Follows another channel on this connection, where the route lets it. Each call answers a `Channel` of its own.
   *
   * @param {string} name
   * @param {{ position?: string | undefined }} [options]
   * @returns {import("./channel.js").Channel<Events>}
   */
  subscribe(name, { position } = {}) {
    return /** @type {import("./channel.js").Channel<any>} */ (this.#connection.subscribe(name, position));
  }

  /** Connects anew, now: also after it was closed, when the joined channels have ended. */
  reconnect() {
    this.#connection.reconnect();
  }

  /** Ends it. */
  close() {
    this.#connection.close();
  }
}
