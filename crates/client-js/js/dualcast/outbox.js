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

/** For how long the server knows an idempotency key, in milliseconds. What is older might act twice. */
const KEY_LIFETIME = 120_000;

export class Outbox {
  #house;
  #maxUnsent;
  /** All that is not answered, in order. @type {Set<Letter>} */
  #letters = new Set();
  /** The one that is posted. @type {Letter | undefined} */
  #posted;

  /** @param {House} house @param {number} maxUnsent */
  constructor(house, maxUnsent) {
    this.#house = house;
    this.#maxUnsent = maxUnsent;
  }

  get count() {
    return this.#letters.size;
  }

  /**
   * @param {Message} message
   * @param {Policy} policy what becomes of it while there is no connection
   * @returns {Promise<any>} the data of the reply
   */
  async send(message, policy) {
    const isAway = !this.#house.link() && policy !== "queue";
    if (isAway || this.count >= this.#maxUnsent) {
      if (policy === "drop") return undefined;
      throw new LiveError(isAway ? "away" : "queue-full");
    }
    if (policy === "queue") message.key ??= newKey();
    // As it is now, and not when its turn comes.
    const copy = JSON.parse(JSON.stringify(message));
    return new Promise((resolve, reject) => {
      this.#letters.add({ message: copy, policy, resolve, reject });
      this.#counted();
      this.flush();
    });
  }

  /** Sends what waits, as far as it may. */
  flush() {
    for (const letter of this.#letters) {
      const link = this.#house.link();
      // One POST at a time, or they would overtake each other; and what waits for another try holds up those behind it.
      if (!link || this.#posted || letter.timer) return;
      if (letter.isOut) continue;
      if (isTooOld(letter)) {
        this.#fail(letter, new LiveError("unconfirmed"));
        continue;
      }
      letter.isOut = true;
      letter.sentAt ??= Date.now();
      if (link.canSend) link.ask(letter.message, (answer) => this.#answer(letter, answer));
      else this.#post(letter);
    }
  }

  /** The connection is gone: what had left by it is not answered any more, and what had not may not want to wait for another one. */
  lost() {
    const isAway = !this.#house.link();
    for (const letter of this.#letters) {
      if (letter === this.#posted) continue;
      if (letter.isOut) this.#fail(letter, new LiveError("unconfirmed"));
      else if (isAway && letter.policy !== "queue") this.#fail(letter, new LiveError("away"));
    }
  }

  /** @param {LiveError} error */
  close(error) {
    for (const letter of this.#letters) this.#settle(letter, () => letter.reject(error));
  }

  /** @param {Letter} letter @param {import("./asks.js").Answer} answer */
  #answer(letter, { code, message, retry, data }) {
    if (code) this.#fail(letter, new LiveError(code, message, { retry }));
    else this.#settle(letter, () => letter.resolve(data));
  }

  /** @param {Letter} letter */
  async #post(letter) {
    this.#posted = letter;
    // A browser repeats a POST by itself where a connection that it had kept was cut under it, and asks nobody.
    letter.message.key ??= newKey();
    try {
      this.#answer(letter, { data: await this.#house.post(letter.message) });
    } catch (error) {
      this.#fail(letter, /** @type {LiveError} */ (error));
    }
    this.#posted = undefined;
    this.flush();
  }

  /** @param {Letter} letter @param {LiveError} error */
  #fail(letter, error) {
    if (!this.#letters.has(letter)) return;
    const { policy } = letter;
    const isPassing = PASSING.includes(error.code);
    if (isPassing && policy === "drop") return this.#settle(letter, () => letter.resolve(undefined));
    if (!isPassing || policy === "reject" || isTooOld(letter)) return this.#settle(letter, () => letter.reject(error));
    letter.isOut = false;
    letter.timer = setTimeout(() => {
      letter.timer = undefined;
      this.flush();
    }, error.retry ?? USUAL_RETRY);
  }

  /** @param {Letter} letter @param {() => void} answer */
  #settle(letter, answer) {
    clearTimeout(letter.timer);
    if (!this.#letters.delete(letter)) return;
    answer();
    this.#counted();
  }

  /** Not in the middle of what changes the count: the page may close the client at this. */
  #counted() {
    const { count } = this;
    queueMicrotask(() => this.#house.stage.tell("unsent", count));
  }
}

/** Whether the server may have forgotten its key. @param {Letter} letter */
function isTooOld({ sentAt = Infinity }) {
  return Date.now() - sentAt >= KEY_LIFETIME;
}

/** 128 random bits. `crypto.randomUUID` is for secure contexts only. */
function newKey() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
