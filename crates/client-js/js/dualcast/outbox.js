// What the page sends, until it is answered: by WebSocket with a reference, or by POST beside an event stream, one after another. The reply
// and the errors are the same.

import { LiveError } from "./error.js";

/** @typedef {"reject" | "drop" | "queue"} Policy */
/** @typedef {import("./link.js").Link} Link */

/**
 * @typedef {object} Letter
 * @property {{ event: string, data?: unknown, key?: string }} message
 * @property {Policy} policy
 * @property {(data: any) => void} resolve
 * @property {(error: LiveError) => void} reject
 * @property {number} [ref] under which its answer is awaited
 * @property {number} [sentAt] when it first left
 * @property {number} [leftAt] when it last left
 * @property {ReturnType<typeof setTimeout>} [timer]
 */

/**
 * @typedef {object} Office
 * @property {() => Link | undefined} link the connection, while it is open
 * @property {(message: object) => Promise<any>} post
 * @property {(count: number) => void} counted
 */

/** For how long the server knows an idempotency key, in milliseconds. What is older might act twice. */
const KEY_LIFETIME = 120_000;
/** Before a message is sent once more that the server could not take just then, in milliseconds. */
const USUAL_RETRY = 1_000;
/** After these the same message is worth another try. */
const PASSING = ["too-fast", "busy", "unavailable", "unconfirmed"];

export class Outbox {
  #office;
  #limits;
  /** All that is not answered, in order. @type {Set<Letter>} */
  #letters = new Set();
  #ref = 0;
  #isPosting = false;

  /**
   * @param {Office} office
   * @param {{ maxUnsent: number, replyTimeout: number }} limits
   */
  constructor(office, limits) {
    this.#office = office;
    this.#limits = limits;
  }

  get count() {
    return this.#letters.size;
  }

  /**
   * @param {{ event: string, data?: unknown, key?: string }} message
   * @param {Policy} policy what becomes of it while there is no connection
   * @returns {Promise<any>} the data of the reply
   */
  async send(message, policy) {
    if (!this.#office.link()) {
      if (policy === "drop") return undefined;
      if (policy === "reject") throw new LiveError("away", "there is no connection just now");
    }
    if (this.#letters.size >= this.#limits.maxUnsent) {
      if (policy === "drop") return undefined;
      throw new LiveError("queue-full", `${this.#letters.size} messages are not answered yet`);
    }
    if (policy === "queue") message.key ??= newKey();
    // As it is now, and not when its turn comes.
    const copy = JSON.parse(JSON.stringify(message));
    return new Promise((resolve, reject) => {
      this.#letters.add({ message: copy, policy, resolve, reject });
      this.#count();
      this.flush();
    });
  }

  /** Sends what waits, as far as it may. */
  flush() {
    for (const letter of this.#letters) {
      const link = this.#office.link();
      if (letter.ref === undefined && this.#isTooOld(letter)) {
        this.#settle(letter, () => letter.reject(new LiveError("unconfirmed", "whether it was handled can't be known")));
        continue;
      }
      // One POST at a time, or they would overtake each other; and none is overtaken by a WebSocket.
      if (!link || this.#isPosting) return;
      // What waits for another try holds up those behind it.
      if (letter.timer !== undefined && letter.ref === undefined) return;
      if (letter.ref !== undefined) continue;
      letter.leftAt = Date.now();
      letter.sentAt ??= letter.leftAt;
      letter.ref = ++this.#ref;
      if (link.canSend) this.#sendBy(link, letter);
      else this.#post(letter);
    }
  }

  /**
   * An answer by WebSocket.
   *
   * @param {{ ref?: number, code?: string, message?: string, retry?: number, data?: any }} answer
   * @returns {boolean} whether it was waited for
   */
  answer({ ref, code, message = "", retry, data }) {
    const letter = [...this.#letters].find((letter) => letter.ref === ref);
    if (!letter) return false;
    if (code) this.#fail(letter, new LiveError(code, message, { retry }));
    else this.#settle(letter, () => letter.resolve(data));
    return true;
  }

  /** The connection is gone: what had left by it is not answered any more. */
  lost() {
    for (const letter of this.#letters) {
      if (letter.ref !== undefined && letter.timer !== undefined) {
        this.#fail(letter, new LiveError("unconfirmed", "the connection was lost before an answer came"));
      }
    }
  }

  /** Since when the longest waits for its answer by WebSocket. */
  waitingSince() {
    const waiting = [...this.#letters].find(({ ref, timer }) => ref !== undefined && timer !== undefined);
    return waiting?.leftAt;
  }

  /** @param {LiveError} error */
  close(error) {
    for (const letter of this.#letters) this.#settle(letter, () => letter.reject(error));
  }

  /** @param {Link} link @param {Letter} letter */
  #sendBy(link, letter) {
    const { replyTimeout } = this.#limits;
    letter.timer = setTimeout(() => {
      // A queued one waits on: until the connection is lost, if it is.
      if (letter.policy === "queue") return;
      this.#settle(letter, () => letter.reject(new LiveError("unconfirmed", `no answer came in ${replyTimeout} ms`)));
    }, replyTimeout);
    link.send({ ...letter.message, ref: letter.ref });
  }

  /** @param {Letter} letter */
  async #post(letter) {
    this.#isPosting = true;
    try {
      const data = await this.#office.post(letter.message);
      this.#settle(letter, () => letter.resolve(data));
    } catch (error) {
      this.#fail(letter, /** @type {LiveError} */ (error));
    }
    this.#isPosting = false;
    this.flush();
  }

  /** @param {Letter} letter @param {LiveError} error */
  #fail(letter, error) {
    if (!this.#letters.has(letter)) return;
    const isPassing = PASSING.includes(error.code);
    if (letter.policy === "drop" && isPassing) return this.#settle(letter, () => letter.resolve(undefined));
    if (letter.policy !== "queue" || !isPassing || this.#isTooOld(letter)) {
      return this.#settle(letter, () => letter.reject(error));
    }
    clearTimeout(letter.timer);
    letter.ref = undefined;
    letter.timer = setTimeout(() => {
      letter.timer = undefined;
      this.flush();
    }, error.retry ?? USUAL_RETRY);
  }

  /** Whether the server may have forgotten its key. @param {Letter} letter */
  #isTooOld({ sentAt = Infinity }) {
    return Date.now() - sentAt >= KEY_LIFETIME;
  }

  /** @param {Letter} letter @param {() => void} answer */
  #settle(letter, answer) {
    clearTimeout(letter.timer);
    if (!this.#letters.delete(letter)) return;
    answer();
    this.#count();
  }

  #count() {
    this.#office.counted(this.#letters.size);
  }
}

/** 128 random bits. `crypto.randomUUID` is for secure contexts only. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
