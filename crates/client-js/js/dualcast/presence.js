// Who is present on a channel, kept up to date: for pages that ask for it, beside the client and not in it.

import { createEmitter } from "./emitter.js";

/** @typedef {{ id: string, data?: any }} Member */
/**
 * @typedef {object} Update
 * @property {string} channel
 * @property {number} version
 * @property {number} [since] the version that it changes, where it is not the whole
 * @property {number} count
 * @property {Member[]} [members] all of them, or in a large room some
 * @property {Member[]} [joined]
 * @property {string[]} [left]
 */
/** What it needs of the client. @typedef {{ on(name: any, handler: (notice: any) => void): () => void, reconnect(): void }} Source */

/**
 * Hears who is present, as far as the route tells it.
 *
 * @template [Data=any]
 * @param {Source} live the client
 * @param {{ channel?: string }} [options] `channel`: of which, where the client follows several that tell it; else of the first that does
 */
export function createPresence(live, { channel } = {}) {
  const handlers = createEmitter((error) => console.error("dualcast:", error));
  /** @type {Map<string, Data>} */
  const members = new Map();
  let count = 0;
  /** @type {number | undefined} */
  let version;
  let isAsking = false;

  /** @param {Update} update */
  function take(update) {
    channel ??= update.channel;
    if (update.channel !== channel) return;
    if (update.members) members.clear();
    else if (update.since !== version) return missed();
    isAsking = false;
    for (const { id, data } of [...(update.members ?? []), ...(update.joined ?? [])]) members.set(id, data);
    for (const id of update.left ?? []) members.delete(id);
    ({ count, version } = update);
    handlers.emit("change");
  }

  /**
   * Whoever has missed a change, or came when the whole had been told, is told it on another connection, which is asked for once.
   */
  function missed() {
    version = undefined;
    if (!isAsking) live.reconnect();
    isAsking = true;
  }

  const offs = [
    live.on("dualcast:presence", take),
    live.on("dualcast:heartbeat", ({ presence = {} }) => {
      channel ??= Object.keys(presence)[0];
      if (Object.hasOwn(presence, channel ?? "") && presence[channel] !== version) missed();
    }),
  ];

  return {
    /** Who is there, by id, with what is said of each. In a large room some of them. The same `Map` all the time. */
    members: /** @type {ReadonlyMap<string, Data>} */ (members),

    /** How many are there. */
    get count() {
      return count;
    },

    /** Calls a handler after each change. Answers what takes it away again. @param {() => unknown} handler */
    on: (handler) => handlers.on("change", handler),

    /** Hears nothing more. */
    stop() {
      for (const off of offs) off();
    },
  };
}
