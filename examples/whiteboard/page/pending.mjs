// The page's own changes that the log has not told yet. They go out one message at a time, in order, and each arrives once, however often it
// is sent: what is done while one is under way goes together in the next.
//
//     queue:   changes that have no number yet; several of one property are one
//     flight:  the one message that is under way, with its number; sent again, the very same, until it is answered
//     waiting: messages that the server has taken, until the log tells them
//
// A message is done when the log tells it (or a snapshot says that it was told), not when the server answers: until then it still has to be
// shown on top of the board. A connection that is lost takes nothing away. Only an answer that says "never" does, and then the page says so.

import { idOf } from "./board.mjs";

/** @typedef {import("./board.mjs").Change} Change */
/** @typedef {{ client: string, n: number, changes: Change[] }} Message */

/** A message of the page has at most so many changes, and so many bytes of JSON: with room for what stands around them in 64 KiB. */
const mostChanges = 200;
const mostBytes = 48 * 1024;

/** What is waited before another attempt, in milliseconds, where the server does not say. */
const firstDelay = 500;
const longestDelay = 8_000;

/** Codes after which the same message is never taken. All else passes, and is worth another attempt. */
const finalStatuses = [400, 401, 403, 404, 409, 410, 413, 415, 422];
const finalCodes = [
  "bad-change", "bad-data", "bad-message", "board-full", "locked", "no-inbound", "no-token", "revoked", "too-large", "unknown-event", "finished",
];

export class Pending {
  #client;
  #n = 0;
  #send;
  #refused;
  #answered;
  /** @type {Change[]} */
  #queue = [];
  /** Messages that go as they are, before the queue: parts of one that was refused as a whole. @type {Change[][]} */
  #parts = [];
  /** Messages that have a number already, and go before all else: those of the page that was here before. @type {Message[]} */
  #numbered = [];
  /** @type {Message | undefined} */
  #flight;
  /** @type {Message[]} */
  #waiting = [];
  #isUnderWay = false;
  #isHeld = true;
  #delay = firstDelay;
  #timer;

  /**
   * @param {string} client what this page load is known by
   * @param {object} surroundings
   * @param {(message: Message, key: string) => Promise<unknown>} surroundings.send resolves once the server has taken it
   * @param {(changes: Change[], error: Error & { code?: string }) => void} surroundings.refused these will never be taken
   * @param {(milliseconds: number) => void} [surroundings.answered] how long the server took
   */
  constructor(client, { send, refused, answered = () => {} }) {
    this.#client = client;
    this.#send = send;
    this.#refused = refused;
    this.#answered = answered;
  }

  get client() {
    return this.#client;
  }

  /** All that is not told yet, in order. */
  *changes() {
    for (const { changes } of this.#waiting) yield* changes;
    if (this.#flight) yield* this.#flight.changes;
    for (const { changes } of this.#numbered) yield* changes;
    for (const part of this.#parts) yield* part;
    yield* this.#queue;
  }

  /** How many changes the server has not taken yet. */
  get unsent() {
    const left = [this.#flight, ...this.#numbered].reduce((sum, message) => sum + (message?.changes.length ?? 0), 0);
    return left + this.#parts.flat().length + this.#queue.length;
  }

  /** How many changes the log has not told yet. */
  get untold() {
    return [...this.changes()].length;
  }

  /** @param {Change[]} changes */
  push(changes) {
    for (const change of changes) this.#enqueue(change);
    // What is done in one go leaves in one message.
    queueMicrotask(() => this.#pump());
  }

  /** The log has told a message, or a snapshot says so. Answers the changes that are no longer pending. */
  told(client, n) {
    const isTold = (message) => message.client === client && message.n <= n;
    const changes = [...this.#waiting, ...this.#numbered].filter(isTold).flatMap((message) => message.changes);
    this.#waiting = this.#waiting.filter((message) => !isTold(message));
    this.#numbered = this.#numbered.filter((message) => !isTold(message));
    if (this.#flight && isTold(this.#flight)) {
      changes.push(...this.#flight.changes);
      this.#flight = undefined;
      // Its answer may never come, and is not needed.
      this.#isUnderWay = false;
      this.#pump();
    }
    return changes;
  }

  /**
   * Some of it is not to be sent any more, as far as it is not under way. A message that may have arrived keeps its number: it acts once.
   *
   * @param {(change: Change) => Change | undefined} leftOf
   */
  withdraw(leftOf) {
    const left = (changes) => changes.map(leftOf).filter((change) => change !== undefined);
    this.#queue = left(this.#queue);
    this.#parts = this.#parts.map(left).filter((part) => part.length > 0);
    if (!this.#flight || this.#isUnderWay) return;
    const changes = left(this.#flight.changes);
    this.#flight = changes.length > 0 ? { ...this.#flight, changes } : undefined;
  }

  /** There is no connection: nothing leaves. */
  hold() {
    this.#isHeld = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** There is one, and the page has heard what it missed: so a message that the log had told already is not sent again. */
  release() {
    this.#isHeld = false;
    this.#delay = firstDelay;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pump();
  }

  /**
   * All that is unsent, as messages with numbers: for the page that comes after this one. Whichever of the two sends them, and be it both, each
   * arrives once.
   *
   * @returns {Message[]}
   */
  freeze() {
    while (this.#parts.length + this.#queue.length > 0) this.#numbered.push(this.#number(this.#next()));
    return this.#flight ? [this.#flight, ...this.#numbered] : [...this.#numbered];
  }

  /** Sends what the page before this one has left. @param {Message[]} messages */
  adopt(messages) {
    this.#numbered.push(...messages);
  }

  #enqueue(change) {
    const { set, props } = change;
    // Merged with what was last queued of the same object, where nothing else stands between the two.
    const last = set === undefined ? undefined : this.#queue.findLast((queued) => idOf(queued) === set);
    const takes = last && ("set" in last || ("add" in last && props.deleted === undefined));
    // Said again while nothing leaves.
    if (change.edit !== undefined && this.#queue.findLast((queued) => idOf(queued) === change.edit)?.edit !== undefined) return;
    if (takes) this.#queue[this.#queue.indexOf(last)] = { ...last, props: { ...last.props, ...props } };
    else this.#queue.push(change);
  }

  #pump() {
    if (this.#isHeld || this.#isUnderWay || this.#timer !== undefined) return;
    if (!this.#flight) {
      if (this.#numbered.length + this.#parts.length + this.#queue.length === 0) return;
      this.#flight = this.#numbered.shift() ?? this.#number(this.#next());
    }
    this.#fly(this.#flight);
  }

  #number(changes) {
    this.#n += 1;
    return { client: this.#client, n: this.#n, changes };
  }

  /** The next changes that fit into one message. */
  #next() {
    if (this.#parts.length > 0) return this.#parts.shift();
    let bytes = 0;
    let count = 0;
    for (const change of this.#queue.slice(0, mostChanges)) {
      bytes += new TextEncoder().encode(JSON.stringify(change)).length + 1;
      if (count > 0 && bytes > mostBytes) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #fly(message) {
    this.#isUnderWay = true;
    const leftAt = performance.now();
    try {
      await this.#send(message, `${message.client}-${message.n}`);
      this.#answered(performance.now() - leftAt);
      // The log may have told it before.
      if (this.#flight !== message) return;
      this.#waiting.push(message);
      this.#flight = undefined;
      this.#isUnderWay = false;
      this.#delay = firstDelay;
      this.#pump();
    } catch (error) {
      if (this.#flight !== message) return;
      this.#isUnderWay = false;
      if (isFinal(error)) this.#giveUp(message, error);
      else this.#tryLater(error.retry);
    }
  }

  #tryLater(retry) {
    if (this.#isHeld) return;
    const delay = Math.max(retry ?? 0, this.#delay);
    this.#delay = Math.min(longestDelay, this.#delay * 2);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#pump();
    }, delay);
    // Node's tests end without it.
    this.#timer.unref?.();
  }

  /** The server takes a message whole or not at all. One bad change shall not take the others along: each object's go by themselves then. */
  #giveUp(message, error) {
    this.#flight = undefined;
    const parts = grouped(message.changes);
    if (parts.length > 1) {
      this.#parts.unshift(...parts);
    } else {
      const added = new Set(message.changes.filter((change) => "add" in change).map(({ add }) => add));
      // What is not there can't be changed either.
      const isOrphan = (change) => added.has(idOf(change));
      const orphans = this.#queue.filter(isOrphan);
      this.#queue = this.#queue.filter((change) => !isOrphan(change));
      this.#refused([...message.changes, ...orphans], error);
    }
    this.#pump();
  }
}

function isFinal({ code = "", status }) {
  return finalCodes.includes(code) || finalStatuses.includes(status);
}

/** Each word in the chat by itself. */
function groupOf(change) {
  return idOf(change) ?? change;
}

/** The changes of each object. @param {Change[]} changes @returns {Change[][]} */
function grouped(changes) {
  const groups = new Map();
  for (const change of changes) {
    const group = groups.get(groupOf(change));
    if (group) group.push(change);
    else groups.set(groupOf(change), [change]);
  }
  return [...groups.values()];
}
