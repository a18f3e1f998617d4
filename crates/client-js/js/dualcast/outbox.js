// What the page sends, until it is answered: over a WebSocket, or by POST beside an event stream, one after another. The replies and the
// errors are the same.

import { LiveError, PASSING, USUAL_RETRY } from "./error.js";

/** @typedef {"reject" | "drop" | "queue"} Policy */
/** @typedef {import("./joined.js").House} House */
/** @typedef {{ event: string, data?: unknown, key?: string }} Message */

/**
 * @typedef {object} Letter
 * @property {Message} message
 * @property {Policy} policy
 * @property {(data: any) => void} resolve
 * @property {(error: LiveError) => void} reject
 * @property {boolean} [isOut] it left, and its answer is waited for
 * @property {number} [sentAt] when it first left
 * @property {ReturnType<typeof setTimeout>} [timer] it waits for another try
 */

/** For how long the server knows an idempotency key, in milliseconds. What is handled later might act twice. */
const KEY_LIFETIME = 120_000;

/** @param {House} house @param {{ maxUnsent: number, replyTimeout: number }} options */
export function createOutbox({ stage, link, post }, { maxUnsent, replyTimeout }) {
  /** For how long a message may be sent again, in milliseconds. A POST asks for rights first, and may take two attempts. */
  const lifetime = KEY_LIFETIME - 2 * replyTimeout;
  /** All that is not answered, in order. @type {Set<Letter>} */
  const letters = new Set();
  /** The one that is posted. @type {Letter | undefined} */
  let posted;

  /** @param {Letter} letter */
  async function postLetter(letter) {
    const { message } = (posted = letter);
    // A browser repeats a POST by itself where a connection that it had kept was cut under it, and asks nobody.
    message.key ??= newKey();
    try {
      settle(letter, undefined, await post(message));
    } catch (error) {
      fail(letter, /** @type {LiveError} */ (error));
    }
    posted = undefined;
    flush();
  }

  /** Sends what waits, as far as it may. */
  function flush() {
    for (const letter of letters) {
      const by = link();
      // One POST at a time, or they would overtake each other; and what waits for another try holds up those behind it.
      if (!by || posted || letter.timer) return;
      if (letter.isOut) continue;
      const isLate = isTooOld(letter);
      letter.isOut = true;
      letter.sentAt ??= Date.now();
      if (isLate) fail(letter, new LiveError("unconfirmed"));
      else if (!by.canSend()) postLetter(letter);
      else
        by.ask(letter.message, ({ code, message, retry, data }) =>
          code ? fail(letter, new LiveError(code, message, { retry })) : settle(letter, undefined, data),
        );
    }
  }

  /** Whether the server may have forgotten its key by the time it comes. @param {Letter} letter */
  const isTooOld = ({ sentAt = Infinity }) => Date.now() - sentAt >= lifetime;

  /** @param {Letter} letter @param {LiveError} error */
  function fail(letter, error) {
    const { policy } = letter;
    const isPassing = PASSING.includes(error.code);
    if (isPassing && policy === "drop") return settle(letter);
    if (!isPassing || policy === "reject" || isTooOld(letter)) return settle(letter, error);
    if (!letters.has(letter)) return;
    letter.isOut = false;
    letter.timer = setTimeout(() => {
      letter.timer = undefined;
      flush();
    }, error.retry ?? USUAL_RETRY);
  }

  /** @param {Letter} letter @param {LiveError} [error] @param {any} [data] of the reply */
  function settle(letter, error, data) {
    clearTimeout(letter.timer);
    if (!letters.delete(letter)) return;
    if (error) letter.reject(error);
    else letter.resolve(data);
    counted();
  }

  /** Not in the middle of what changes the count: the page may close the client at this. */
  function counted() {
    const { size } = letters;
    queueMicrotask(() => stage.tell("unsent", size));
  }

  return {
    flush,

    count: () => letters.size,

    /**
     * @param {Message} given
     * @param {Policy} policy what becomes of it while there is no connection
     * @returns {Promise<any>} the data of the reply
     */
    async send(given, policy) {
      // As it is now, and not when its turn comes.
      /** @type {Message} */
      const message = JSON.parse(JSON.stringify(given));
      if (policy === "queue") message.key ??= newKey();
      for (const letter of policy === "drop" ? letters : []) {
        // One that waits, and need not, gives way to a newer one.
        if (letter.policy === policy && letter.message.event === message.event && !letter.isOut) settle(letter);
      }
      const isAway = !link() && policy !== "queue";
      if (isAway || letters.size >= maxUnsent) {
        if (policy === "drop") return undefined;
        throw new LiveError(isAway ? "away" : "queue-full");
      }
      return new Promise((resolve, reject) => {
        letters.add({ message, policy, resolve, reject });
        counted();
        flush();
      });
    },

    /**
     * The connection is gone: what had left by it is not answered any more, and what had not may not want to wait for another one.
     *
     * @param {string | false} [code] what that means for those that had left
     */
    lost(code) {
      const isAway = !link();
      for (const letter of letters) {
        if (letter === posted) continue;
        if (letter.isOut) fail(letter, new LiveError(code || "unconfirmed"));
        else if (isAway && letter.policy !== "queue") fail(letter, new LiveError("away"));
      }
    },

    /** @param {LiveError} error */
    close(error) {
      for (const letter of letters) settle(letter, letter.policy === "drop" ? undefined : error);
    },
  };
}

/** 128 random bits. `crypto.randomUUID` is for secure contexts only. */
function newKey() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
