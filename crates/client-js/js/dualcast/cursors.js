// Where the page stands: one cursor for the route's own channels, and one for each channel that was joined.
//
// Whatever became of a connection, a message that stands at or before its channel's cursor was given to the page already. So a session
// may resume further back than it has to, at the smallest of its cursors, and a second connection may overlap with the first.

/** @typedef {{ id?: string, channel: string, from: string | null, to: string | null, reason: string }} Gap */
/** @typedef {Record<string, string | undefined>} Saved by the channels */
/** @typedef {ReturnType<typeof createCursors>} Cursors */
/** @typedef {{ shown?: string, held?: string }} Followed with which cursor the server was asked for it, and where the page stood then */

/**
 * The order of two ids: negative, zero or positive; undefined where they belong to two lives of the log, which have none. Numbers have no zeros
 * in front, and may be larger than a number of JavaScript is exact: the longer is the larger.
 *
 * @param {string} [a]
 * @param {string} [b]
 */
export function compare(a = "", b = "") {
  const [life, one] = a.split("-");
  const [otherLife, other] = b.split("-");
  if (life !== otherLife || !/^\d+,\d+$/.test(`${one},${other}`)) return undefined;
  return one.length - other.length || (one < other ? -1 : Number(one > other));
}

/** @param {string | undefined} a @param {string | undefined} b */
const isBefore = (a, b) => (compare(a, b) ?? 0) < 0;

/** The name under which the route's own channels have their cursor: no channel's. */
const OWN = "";

/** The same for the id that came last. */
const NEWEST = "*";

/** @param {Saved} saved @param {string} [position] of the route's own channels */
export function createCursors(saved, position) {
  /** Of the channels that the page joined, also while the connection doesn't follow them yet. @type {Map<string, string | undefined>} */
  const all = new Map();
  /** Those that the connection follows. @type {Map<string, Followed>} */
  const follows = new Map();
  /** Of channels that the page may yet join again. */
  const left = new Map(Object.entries(saved));
  /** Up to where the page was told that messages are missing. @type {Map<string, string>} */
  const told = new Map();
  /** The id that came last, of whichever channel: its life is the newest. */
  let newest = position ?? saved[NEWEST];

  /** Where a channel has its cursor. @param {string} [channel] */
  const key = (channel = OWN) => (all.has(channel) ? channel : OWN);

  /** Never back, but to another life. @param {string | undefined} channel @param {string} id */
  function move(channel, id) {
    if (isBefore(id, cursors.of(channel))) return;
    newest = id;
    all.set(key(channel), id);
  }

  const cursors = {
    /** As it can be kept: JSON leaves out who has none yet. @returns {Saved} */
    saved: () => Object.fromEntries([...left, ...all, [NEWEST, newest]]),

    /** @param {string} channel @param {string} [position] */
    join(channel, position) {
      all.set(channel, position ?? left.get(channel));
      left.delete(channel);
    },

    /** @param {string} channel */
    leave(channel) {
      all.delete(channel);
      follows.delete(channel);
      told.delete(channel);
    },

    /** The cursor of a channel. @param {string} [channel] */
    of: (channel) => all.get(key(channel)),

    /** From where a stream of all channels misses nothing: the smallest cursor, or one of an older life where they stand in two. */
    smallest() {
      return [...all.values()].reduce((least, id) => {
        if (!id || !least) return least ?? id;
        const order = compare(id, least);
        if (order === undefined) return compare(least, newest) === undefined ? least : id;
        return order < 0 ? id : least;
      });
    },

    /**
     * A connection was opened, from this id on; it follows these joined channels, and others once that is answered.
     *
     * @param {string | undefined} id
     * @param {string | undefined} shown the cursor that it was asked for
     * @param {string[]} channels
     */
    opened(id, shown, channels) {
      follows.clear();
      for (const channel of [OWN, ...channels]) cursors.followed(channel, id, shown);
    },

    /**
     * The connection follows a channel, from this id on.
     *
     * @param {string} channel a joined one, or the route's own
     * @param {string | undefined} id
     * @param {string | undefined} shown
     */
    followed(channel, id, shown) {
      if (isBefore(id, shown)) all.set(channel, id);
      if (id && !cursors.of(channel)) move(channel, id);
      follows.set(channel, { shown, held: cursors.of(channel) });
    },

    /**
     * A message. Answers whether it is new to the page.
     *
     * @param {string} id
     * @param {string} [channel]
     */
    take(id, channel) {
      const order = compare(id, cursors.of(channel));
      if (order !== undefined && order <= 0) return false;
      move(channel, id);
      return true;
    },

    /** Up to here nothing is left to tell, of no channel that the connection follows. @param {string} [id] */
    heartbeat(id) {
      if (!id) return;
      for (const channel of follows.keys()) move(channel, id);
    },

    /**
     * A gap. Answers it as the page has to be told: from where the page stands; or nothing, where it knows.
     *
     * @param {Gap} gap
     * @returns {Gap | undefined}
     */
    gap(gap) {
      const { id, channel, from, to } = gap;
      const at = cursors.of(channel);
      const { shown, held } = follows.get(key(channel)) ?? {};
      if (isBefore(id, shown)) {
        // The log lost its end, and counts on from here in the same life: what comes is new, whatever its number.
        all.set(key(channel), id);
        told.delete(channel);
      } else {
        if (id) move(channel, id);
        // Not by where it stands now: the gaps of several channels that share a cursor may move it to where all of them end.
        const known = [held, told.get(channel)];
        if (to !== null && known.some((id) => (compare(to, id) ?? 1) <= 0)) return undefined;
      }
      if (to !== null) told.set(channel, to);
      return { ...gap, from: from !== null && isBefore(from, at) ? /** @type {string} */ (at) : from };
    },
  };
  cursors.join(OWN, position);
  return cursors;
}
