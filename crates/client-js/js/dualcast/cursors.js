// Where the page stands: one cursor for the route's own channels, and one for each channel that was joined.
//
// Whatever became of a connection, a message that stands at or before its channel's cursor was given to the page already. So a session
// may resume further back than it has to, at the smallest of its cursors, and a second connection may overlap with the first.

/** @typedef {{ id?: string, channel: string, from: string | null, to: string | null, reason: string }} Gap */
/** @typedef {{ own?: string, joined?: Record<string, string> }} Saved */
/** @typedef {{ shown?: string, held?: string }} Followed with which cursor the server was asked for it, and where the page stood then */

/**
 * The order of two ids: negative, zero or positive; undefined where they belong to two lives of the log, which have none.
 *
 * @param {string} [a]
 * @param {string} [b]
 */
export function compare(a, b) {
  const [life, number] = parts(a);
  const [otherLife, otherNumber] = parts(b);
  if (life === undefined || life !== otherLife) return undefined;
  return number < otherNumber ? -1 : Number(number > otherNumber);
}

/**
 * @param {string} [id]
 * @returns {[string | undefined, bigint]} its life, and its number there
 */
function parts(id) {
  const [life, number] = (id ?? "").split("-");
  return /^\d+$/.test(number) ? [life, BigInt(number)] : [undefined, 0n];
}

/** @param {string | undefined} a @param {string | undefined} b */
const isBefore = (a, b) => (compare(a, b) ?? 0) < 0;

export class Cursors {
  /** @type {string | undefined} */
  own;
  /** Of the channels that the page joined, also while the connection doesn't follow them yet. @type {Map<string, string | undefined>} */
  #joined = new Map();
  /** The joined channels that the connection follows, and `undefined` for the route's own. @type {Map<string | undefined, Followed>} */
  #followed = new Map();
  /** Of channels that the page may yet join again. @type {Map<string, string>} */
  #left;
  /** Up to where the page was told that messages are missing. @type {Map<string, string>} */
  #told = new Map();
  /** The id that came last, of whichever channel: its life is the newest. @type {string | undefined} */
  #newest;

  /** @param {Saved} saved */
  constructor({ own, joined = {} }) {
    this.own = own;
    this.#left = new Map(Object.entries(joined));
  }

  /** As it can be kept. @returns {Saved} */
  saved() {
    // JSON leaves out who has none yet.
    return { own: this.own, joined: /** @type {Record<string, string>} */ (Object.fromEntries([...this.#left, ...this.#joined])) };
  }

  /** @param {string} channel @param {string} [position] */
  join(channel, position) {
    this.#joined.set(channel, position ?? this.#left.get(channel));
    this.#left.delete(channel);
  }

  /** @param {string} channel */
  leave(channel) {
    this.#joined.delete(channel);
    this.#followed.delete(channel);
    this.#told.delete(channel);
  }

  /** The cursor of a channel. @param {string} [channel] */
  of(channel) {
    return channel !== undefined && this.#joined.has(channel) ? this.#joined.get(channel) : this.own;
  }

  /** From where a stream of all channels misses nothing: the smallest cursor, or one of an older life where they stand in two. */
  smallest() {
    return [this.own, ...this.#joined.values()].reduce((least, id) => {
      if (id === undefined || least === undefined) return least ?? id;
      const order = compare(id, least);
      if (order === undefined) return compare(least, this.#newest) === undefined ? least : id;
      return order < 0 ? id : least;
    });
  }

  /**
   * A connection was opened, from this id on; it follows these joined channels, and others once that is answered.
   *
   * @param {string | undefined} id
   * @param {string | undefined} shown the cursor that it was asked for
   * @param {string[]} channels
   */
  opened(id, shown, channels) {
    this.#followed.clear();
    for (const channel of [undefined, ...channels]) this.followed(channel, id, shown);
  }

  /**
   * The connection follows a channel, from this id on.
   *
   * @param {string | undefined} channel a joined one, or the route's own
   * @param {string | undefined} id
   * @param {string | undefined} shown
   */
  followed(channel, id, shown) {
    if (isBefore(id, shown)) this.#set(channel, id);
    if (this.of(channel) === undefined && id !== undefined) this.#move(channel, id);
    this.#followed.set(channel, { shown, held: this.of(channel) });
  }

  /**
   * A message. Answers whether it is new to the page.
   *
   * @param {string} id
   * @param {string} [channel]
   */
  take(id, channel) {
    const order = compare(id, this.of(channel));
    if (order !== undefined && order <= 0) return false;
    this.#move(channel, id);
    return true;
  }

  /** Up to here nothing is left to tell, of no channel that the connection follows. @param {string} [id] */
  heartbeat(id) {
    if (id === undefined) return;
    for (const channel of this.#followed.keys()) this.#move(channel, id);
  }

  /**
   * A gap. Answers it as the page has to be told: from where the page stands; or nothing, where it knows.
   *
   * @param {Gap} gap
   * @returns {Gap | undefined}
   */
  gap(gap) {
    const { id, channel, from, to } = gap;
    const at = this.of(channel);
    const { shown, held } = this.#followed.get(this.#joined.has(channel) ? channel : undefined) ?? {};
    if (isBefore(id, shown)) {
      // The log lost its end, and counts on from here in the same life: what comes is new, whatever its number.
      this.#set(channel, id);
      this.#told.delete(channel);
    } else {
      if (id !== undefined) this.#move(channel, id);
      // Not by where it stands now: the gaps of several channels that share a cursor may move it to where all of them end.
      const known = [held, this.#told.get(channel)];
      if (to !== null && known.some((id) => (compare(to, id) ?? 1) <= 0)) return undefined;
    }
    if (to !== null) this.#told.set(channel, to);
    return { ...gap, from: from !== null && isBefore(from, at) ? /** @type {string} */ (at) : from };
  }

  /** Never back, but to another life. @param {string | undefined} channel @param {string} id */
  #move(channel, id) {
    if (isBefore(id, this.of(channel))) return;
    this.#newest = id;
    this.#set(channel, id);
  }

  /** @param {string | undefined} channel @param {string | undefined} id */
  #set(channel, id) {
    if (channel !== undefined && this.#joined.has(channel)) this.#joined.set(channel, id);
    else this.own = id;
  }
}
