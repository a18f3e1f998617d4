// The page's own changes that the log has not told yet. They go out one message at a time, in order, and each arrives once, however often it
// is sent: what is done while one is under way goes together in the next.
//
//     waiting:  messages that the server has taken, until the log tells them
//     flight:   the one message that is under way, with its number; sent again, the very same, until it is answered
//     parts:    of one that was refused as a whole, and what is left of it goes before all that was done later
//     numbered: messages that have one although they wait: those of a page before, for whoever of the two sends them
//     queue:    changes that have no number yet; several of one property are one
//
// In this order they were done, are shown, and go out.
//
// A message is done when the log tells it (or a snapshot says that it was told), not when the server answers: until then it still has to be
// shown on top of the board. A connection that is lost takes nothing away. Only an answer that says "never" does, and then the page says so.

import { idOf } from "./board.mjs";
import { isFinal, parted, withoutHopeless } from "./verdict.mjs";

/** @typedef {import("./board.mjs").Change} Change */
/** @typedef {{ client: string, n: number, changes: Change[] }} Message */

/** A message of the page has at most so many changes, and so many bytes of JSON: with room for what stands around them in 64 KiB. */
const mostChanges = 200;
const mostBytes = 48 * 1024;

/** What is waited before another attempt, in milliseconds, where the server does not say. */
const firstDelay = 500;
const longestDelay = 8_000;

/** How long a change may wait on a good day, in milliseconds. */
const usualWait = 1_500;

export class Pending {
  #client;
  /** Under which name messages are numbered, and how many names there were. */
  #series;
  #seriesCount = 0;
  #n = 0;
  #send;
  #refused;
  #answered;
  /** @type {Change[]} */
  #queue = [];
  /** @type {Change[][]} */
  #parts = [];
  /** @type {Message[]} */
  #numbered = [];
  /** @type {Message | undefined} */
  #flight;
  /** @type {Message[]} */
  #waiting = [];
  #isUnderWay = false;
  #isHeld = true;
  #delay = firstDelay;
  #timer;
  /** Since when something is unsent; anew where all of it goes with the next message. */
  #waitsSince;

  /**
   * @param {string} client what this page load is known by
   * @param {object} surroundings
   * @param {(message: Message, key: string) => Promise<unknown>} surroundings.send resolves once the server has taken it
   * @param {(changes: Change[], error: Error & { code?: string }) => void} surroundings.refused these will never be taken
   * @param {(milliseconds: number) => void} [surroundings.answered] how long the server took
   */
  constructor(client, { send, refused, answered = () => {} }) {
    this.#client = client;
    this.#series = client;
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
    for (const part of this.#parts) yield* part;
    for (const { changes } of this.#numbered) yield* changes;
    yield* this.#queue;
  }

  /** How many changes the server has not taken yet. */
  get unsent() {
    const left = [this.#flight, ...this.#numbered].reduce((sum, message) => sum + (message?.changes.length ?? 0), 0);
    return left + this.#parts.flat().length + this.#queue.length;
  }

  /** Whether changes stay unsent that leave at once on a good day. */
  get isStuck() {
    return this.#waitsSince !== undefined && performance.now() - this.#waitsSince > usualWait;
  }

  /** How many changes the log has not told yet. */
  get untold() {
    return [...this.changes()].length;
  }

  /** @param {Change[]} changes */
  push(changes) {
    for (const change of changes) this.#enqueue(change);
    this.#waitsSince ??= performance.now();
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
    if (changes.length > 0) this.#moved();
    return changes;
  }

  /**
   * Some of it is not to be sent any more. A message that may have arrived keeps its number: it acts once.
   *
   * @param {(change: Change) => Change | undefined} leftOf
   */
  withdraw(leftOf) {
    const left = (changes) => changes.map(leftOf).filter((change) => change !== undefined);
    this.#queue = left(this.#queue);
    this.#parts = this.#parts.map(left).filter((part) => part.length > 0);
    if (this.#flight) {
      // What is under way may arrive as it left. It is not sent so once more.
      this.#flight.changes = left(this.#flight.changes);
      if (!this.#isUnderWay && this.#flight.changes.length === 0) this.#flight = undefined;
    }
    this.#moved();
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
   * The page is put away. Answers all that is unsent, as messages with numbers, for the page that comes after this one: whichever of the two sends
   * them, and be it both, each arrives once. What this one still hears of them is not its business any more.
   *
   * @returns {Message[]}
   */
  freeze() {
    this.hold();
    const flight = this.#flight ? [this.#flight] : [];
    this.#flight = undefined;
    this.#isUnderWay = false;
    this.#numbered.unshift(...flight, ...this.#parts.splice(0).map((part) => this.#number(part)));
    while (this.#queue.length > 0) this.#numbered.push(this.#number(this.#nextOfQueue()));
    return [...this.#numbered];
  }

  /** Sends what the page before this one has left. @param {Message[]} messages */
  adopt(messages) {
    this.#numbered.push(...messages);
    this.#moved();
  }

  /**
   * The page is back after all. What it had left behind belongs to whoever took it; what lies there now, be it of this page or of one that was here
   * meanwhile, is this page's. Answers the changes that are no longer pending.
   *
   * @param {Message[]} left @param {Message[]} found
   */
  regain(left, found) {
    const given = new Set(left.map(keyOf));
    const taken = new Set(found.map(keyOf));
    const before = this.#numbered;
    this.#numbered = [...found, ...before.filter((message) => !given.has(keyOf(message)))];
    this.#moved();
    return before.filter((message) => given.has(keyOf(message)) && !taken.has(keyOf(message))).flatMap(({ changes }) => changes);
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
      this.#flight = this.#next();
      if (!this.#flight) return;
    }
    this.#fly(this.#flight);
  }

  /** @returns {Message | undefined} */
  #next() {
    if (this.#parts.length > 0) return this.#number(this.#parts.shift());
    if (this.#numbered.length > 0) return this.#numbered.shift();
    return this.#queue.length > 0 ? this.#number(this.#nextOfQueue()) : undefined;
  }

  /** @returns {Message} */
  #number(changes) {
    this.#n += 1;
    return { client: this.#series, n: this.#n, changes };
  }

  /** The next changes that fit into one message. */
  #nextOfQueue() {
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
    const { changes } = message;
    try {
      await this.#send(message, keyOf(message));
      this.#answered(performance.now() - leftAt);
      // The log may have told it before.
      if (this.#flight !== message) return;
      this.#waiting.push(message);
      this.#flight = undefined;
      this.#isUnderWay = false;
      this.#moved();
      this.#delay = firstDelay;
      this.#pump();
    } catch (error) {
      if (this.#flight !== message) return;
      this.#isUnderWay = false;
      if (message.changes !== changes && (message.changes.length === 0 || isFinal(error))) this.#sendRest(message.changes);
      else if (isFinal(error)) this.#giveUp(message, error);
      else this.#tryLater(error.retry);
    }
  }

  /** Some was withdrawn while it was under way: what was refused is not what is left of it. @param {Change[]} changes */
  #sendRest(changes) {
    this.#flight = changes.length > 0 ? this.#number(changes) : undefined;
    this.#moved();
    this.#pump();
  }

  /** There is something else unsent. Where all of it goes with the next message, it has not waited for long. */
  #moved() {
    const { unsent } = this;
    const goesNext = unsent === this.#queue.length && unsent <= mostChanges;
    if (unsent === 0) this.#waitsSince = undefined;
    else if (goesNext || this.#waitsSince === undefined) this.#waitsSince = performance.now();
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

  #giveUp(message, error) {
    this.#flight = undefined;
    const parts = parted(message.changes, error);
    if (parts.length > 1) {
      this.#parts.unshift(...parts);
      this.#beginSeries();
    } else {
      const { left, hopeless } = withoutHopeless(message.changes, error, this.#parts);
      this.#parts = left;
      const gone = [...message.changes, ...hopeless];
      const orphans = this.#withdrawOrphans(gone);
      this.#moved();
      this.#refused([...gone, ...orphans], error);
    }
    this.#pump();
  }

  /** Parts go before messages that have a number already. The server takes no smaller number after a larger one: so they are numbered anew. */
  #beginSeries() {
    if (!this.#numbered.some(({ client }) => client === this.#series)) return;
    this.#seriesCount += 1;
    this.#series = `${this.#client}s${this.#seriesCount}`;
    this.#n = 0;
  }

  /** What is not there can't be changed either. @param {Change[]} gone */
  #withdrawOrphans(gone) {
    const added = new Set(gone.filter((change) => "add" in change).map(({ add }) => add));
    const isOrphan = (change) => added.has(idOf(change));
    const isNoOrphan = (change) => !isOrphan(change);
    const orphans = [...this.#numbered.flatMap(({ changes }) => changes), ...this.#queue].filter(isOrphan);
    this.#numbered = this.#numbered.map((message) => ({ ...message, changes: message.changes.filter(isNoOrphan) }));
    this.#numbered = this.#numbered.filter(({ changes }) => changes.length > 0);
    this.#queue = this.#queue.filter(isNoOrphan);
    return orphans;
  }
}

/** By which the server knows a message again. @param {Message} message */
function keyOf({ client, n }) {
  return `${client}-${n}`;
}
