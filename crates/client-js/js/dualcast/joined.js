// The channels that the page joined. On a WebSocket each is asked for on the live connection, with its own cursor; an event stream is
// opened anew with all of them in its query.

import { Channel } from "./channel.js";
import { LiveError, PASSING, USUAL_RETRY } from "./error.js";

/** @typedef {import("./link.js").Link} Link */
/** @typedef {import("./stage.js").Stage} Stage */

/**
 * @typedef {object} Member
 * @property {Channel<any>} channel
 * @property {Stage} stage
 * @property {() => void} follow resolves `ready`
 * @property {(error: LiveError) => void} refuse rejects it
 * @property {ReturnType<typeof setTimeout>} [timer] when it is asked for again
 */

/**
 * What the parts of the client share.
 *
 * @typedef {object} House
 * @property {Stage} stage who hears of the route's own channels, and of all else
 * @property {() => Stage} newStage for one more channel
 * @property {import("./cursors.js").Cursors} cursors
 * @property {import("./choice.js").Choice} choice
 * @property {() => Link | undefined} link the connection, while it is open
 * @property {() => void} changed the event stream, if it is one, has to be opened anew
 * @property {(message: object) => Promise<any>} post
 */

export class Joined {
  #house;
  /** @type {Map<string, Member>} */
  #members = new Map();
  /** Of these nothing is heard any more, though the server may not know yet. @type {Map<string, number>} */
  #leaving = new Map();
  /** These are owed what they missed. @type {Set<string>} */
  #owed = new Set();

  /** @param {House} house */
  constructor(house) {
    this.#house = house;
  }

  get names() {
    return [...this.#members.keys()];
  }

  /** Whether each joined channel is followed that was before. */
  get isWhole() {
    return this.#owed.size === 0;
  }

  /** Who hears of this channel, where the page joined it. @param {string} [name] */
  stageOf(name = "") {
    return this.#members.get(name)?.stage;
  }

  /** Whether the page left it, and the server does not know yet. @param {string} [name] */
  isLeaving(name = "") {
    return this.#leaving.has(name);
  }

  /** The events that somebody listens to in some channel. */
  events() {
    return [...this.#members.values()].flatMap(({ stage }) => stage.names());
  }

  /** @param {string} name @param {string} [position] */
  join(name, position) {
    const known = this.#members.get(name);
    if (known) return known.channel;
    const { cursors, newStage, link, changed } = this.#house;
    const stage = newStage();
    /** @type {Pick<Member, "follow" | "refuse">} */
    let settle;
    const ready = new Promise((resolve, refuse) => (settle = { follow: () => resolve(undefined), refuse }));
    // Whoever does not look at it hears `closed`.
    ready.catch(() => {});
    const channel = new Channel(name, stage, {
      ready: /** @type {Promise<void>} */ (ready),
      cursor: () => cursors.of(name),
      leave: () => this.#leave(name),
    });
    cursors.join(name, position);
    // @ts-expect-error: a promise's executor runs at once
    this.#members.set(name, { channel, stage, ...settle });
    const open = link();
    if (open?.canSend) this.#ask(open, name);
    else if (open) changed();
    return channel;
  }

  /** A connection was opened. @param {Link} link @param {string[] | undefined} channels those of an event stream, where it is of several */
  opened(link, channels) {
    this.#leaving = new Map(link.asked.channels.filter((name) => !this.#members.has(name)).map((name) => [name, 1]));
    this.#owed = new Set(link.canSend ? this.names.filter((name) => this.#house.cursors.of(name)) : []);
    // It was asked for before others were joined, or left: what it tells of these is not heard until the next.
    if (!link.canSend && link.asked.channels.join() !== this.names.join()) return this.#house.changed();
    for (const [name, member] of this.#members) {
      if (link.canSend) this.#ask(link, name);
      else if (channels?.includes(name)) member.follow();
      else this.end(name, new LiveError("no-subscribe"));
    }
  }

  /** A channel is followed no longer. @param {string} name @param {LiveError} [error] why, unless it is finished */
  end(name, error) {
    const member = this.#members.get(name);
    if (!member) return;
    this.#forget(name, member);
    member.refuse(error ?? new LiveError("finished"));
    member.stage.end();
    // Not in the middle of what ended it: the page may close the client at this.
    queueMicrotask(() => member.stage.tell("closed", error));
  }

  /** @param {LiveError} error */
  endAll(error) {
    for (const name of this.names) this.end(name, error);
  }

  /** @param {string} name */
  #leave(name) {
    const member = this.#members.get(name);
    if (!member) return;
    const { link, changed } = this.#house;
    this.#forget(name, member);
    member.refuse(new LiveError("closed"));
    member.stage.end();
    const open = link();
    if (!open) return;
    this.#leaving.set(name, (this.#leaving.get(name) ?? 0) + 1);
    if (!open.canSend) return changed();
    open.ask({ control: "unsubscribe", channel: name }, () => {
      const left = /** @type {number} */ (this.#leaving.get(name)) - 1;
      if (left) this.#leaving.set(name, left);
      else this.#leaving.delete(name);
    });
  }

  /** @param {string} name @param {Member} member */
  #forget(name, member) {
    clearTimeout(member.timer);
    this.#members.delete(name);
    this.#owed.delete(name);
    this.#house.cursors.leave(name);
  }

  /** @param {Link} link @param {string} name */
  #ask(link, name) {
    const { cursors } = this.#house;
    const member = /** @type {Member} */ (this.#members.get(name));
    const shown = cursors.of(name);
    clearTimeout(member.timer);
    link.ask({ control: "subscribe", channel: name, id: shown }, ({ code, message, retry, data }) => {
      // It was left, and perhaps joined again, meanwhile.
      if (this.#members.get(name) !== member) return;
      if (!code) {
        this.#owed.delete(name);
        cursors.followed(name, data?.id, shown);
        return member.follow();
      }
      if (!PASSING.includes(code)) return this.end(name, new LiveError(code, message));
      member.timer = setTimeout(() => {
        if (link === this.#house.link()) this.#ask(link, name);
      }, retry ?? USUAL_RETRY);
    });
  }
}
