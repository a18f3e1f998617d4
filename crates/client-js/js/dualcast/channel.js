// A channel that the page joined on the connection, as the page sees it.

/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./stage.js").Meta} Meta */
/** @typedef {import("./stage.js").Item} Item */
/** @typedef {import("./cursors.js").Gap} Gap */

/**
 * @typedef {object} Membership
 * @property {Stage} stage
 * @property {Promise<void>} ready
 * @property {() => string | undefined} cursor
 * @property {() => void} leave
 */

/** @template {Record<string, any>} [Events=Record<string, any>] */
export class Channel {
  #membership;

  /** @param {string} name @param {Membership} membership */
  constructor(name, membership) {
    this.name = name;
    this.#membership = membership;
    /** Resolves once the channel is followed; rejects with a `LiveError` where that is refused, or ended before. */
    this.ready = membership.ready;
  }

  /** The id up to which the page has heard all of this channel. */
  get cursor() {
    return this.#membership.cursor();
  }

  /**
   * Hears an event of this channel, or what becomes of it: `gap`, `finished`, `closed` (it is followed no longer: why says the error), `*`
   * (every message). Answers what takes the handler away again.
   *
   * @template {string} Name
   * @param {Name} name
   * @param {import("./live.js").HandlerOf<Events, Name>} handler
   */
  on(name, handler) {
    return this.#membership.stage.on(name, /** @type {any} */ (handler));
  }

  /**
   * The same, for an event of the application that has a name of the client's own.
   *
   * @template {keyof Events & string} Name
   * @param {Name} event
   * @param {(data: Events[Name], meta: Meta) => unknown} handler
   */
  onMessage(event, handler) {
    return this.#membership.stage.onMessage(event, handler);
  }

  /** Follows it no longer. */
  unsubscribe() {
    this.#membership.leave();
  }

  /** @returns {AsyncIterableIterator<Item | { gap: Gap }>} */
  [Symbol.asyncIterator]() {
    return this.#membership.stage.iterate();
  }
}
