// A channel that the page joined on the connection, as the page sees it.

import { Listening } from "./listening.js";

/**
 * @typedef {object} Membership
 * @property {Promise<void>} ready
 * @property {() => string | undefined} cursor
 * @property {() => void} leave
 */

/**
 * Hears the messages of one channel.
 *
 * @template {Record<string, any>} [Events=Record<string, any>]
 * @extends {Listening<Events>}
 */
export class Channel extends Listening {
  #membership;

  /**
   * @param {string} name
   * @param {import("./stage.js").Stage} stage
   * @param {Membership} membership
   */
  constructor(name, stage, membership) {
    super(stage);
    this.name = name;
    this.#membership = membership;
    /** Resolves once the channel is followed; rejects with a `LiveError` where that is refused, or ended before. */
    this.ready = membership.ready;
  }

  /** The id up to which the page has heard all of this channel. */
  get cursor() {
    return this.#membership.cursor();
  }

  /** Follows it no longer. */
  unsubscribe() {
    this.#membership.leave();
  }
}
