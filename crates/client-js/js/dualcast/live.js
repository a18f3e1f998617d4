// The client: which connection there is, when the next one is tried, and what the page is told.
//
// At most one connection serves, `#link`. While it is not the best transport's, another may be tried beside it, `#probe`, which takes over
// when it opens. What a connection says that is neither of the two any more is not heard.

import { Backoff } from "./backoff.js";
import { Choice } from "./choice.js";
import { Cursors } from "./cursors.js";
import { isHidden, isOffline, LONGEST_TIMER, stored, watch } from "./environment.js";
import { LiveError } from "./error.js";
import { Hearing } from "./hearing.js";
import { Joined } from "./joined.js";
import { Link, openerOf } from "./link.js";
import { Listening } from "./listening.js";
import { policyOf, urlsOf, withDefaults } from "./options.js";
import { Outbox } from "./outbox.js";
import { post, Rights } from "./rights.js";
import { Stage } from "./stage.js";

/** @typedef {import("./choice.js").TransportName} TransportName */
/** @typedef {import("./frames.js").Notice} Notice */
/** @typedef {import("./link.js").End} End */
/** @typedef {import("./options.js").Address} Address */
/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./outbox.js").Policy} Policy */
/** @typedef {[import("./link.js").OpenWire, import("./rights.js").Right]} Ready */

/**
 * How it stands. The same object until that changes.
 *
 * @typedef {object} State
 * @property {"connecting" | "open" | "waiting" | "away" | "closed"} status `waiting` until `retryAt`; `away` while the page is hidden or
 *   put away, or offline; `closed` for good
 * @property {TransportName} [transport] the one that serves or is tried
 * @property {number} [retryAt] when the next attempt begins, in milliseconds since 1970
 * @property {string} [reason] why the last connection ended: the server's word, or `lost`, `silent`, `refused`, `unauthorized`, `left`
 * @property {number} [code] of that ending, or the status of the answer
 * @property {string} [message] the same for people
 */

/** The least time between two attempts, whatever wakes the client, in milliseconds. */
const SHORTEST_PAUSE = 1_000;
/** When a new token is fetched, of the time that a session has. */
const REFRESH_AT = 0.8;
/** At these statuses the server won't have the client, whenever it comes. */
const FINAL_STATUSES = [204, 401, 403, 410];

/**
 * The whole of it: hears the messages of the route's own channels.
 *
 * @template {Record<string, any>} [Events=Record<string, any>]
 * @extends {Listening<Events>}
 */
export class Live extends Listening {
  #urls;
  #options;
  #stage;
  #choice;
  #backoff;
  #cursors;
  #joined;
  #outbox;
  #rights;
  #hearing;
  /** Where the cursors are kept over a reload, if they are. */
  #key;
  /** @type {State} */
  #state = Object.freeze({ status: "connecting" });
  /** @type {Link | undefined} */
  #link;
  /** @type {Link | undefined} */
  #probe;
  /** Counts attempts, so that one which was overtaken stops. */
  #turn = 0;
  #attemptedAt = -Infinity;
  #refusals = 0;
  #isPutAway = false;
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #timers = new Map();
  /** @type {(() => void) | undefined} */
  #unwatch;

  /**
   * @param {Address} address
   * @param {Options} [options]
   */
  constructor(address, options = {}) {
    /** @param {unknown} error */
    const failed = (error) => this.#fail(error);
    /** @param {string} event */
    const listened = (event) => this.#link?.listenTo(event);
    const stage = new Stage(failed, listened);
    super(stage);
    this.#stage = stage;
    const all = withDefaults(options);
    this.#options = all;
    this.#urls = urlsOf(address);
    this.#choice = new Choice(all.transports, `dualcast transport ${new URL(this.#urls.ws).origin}`);
    this.#backoff = new Backoff(all.minDelay, all.maxDelay);
    this.#rights = new Rights(all);
    this.#key = all.persist && `dualcast cursors ${all.persist} ${this.#urls.sse}`;
    this.#cursors = new Cursors({ ...(this.#key && stored(this.#key)), ...(all.position && { own: all.position }) });
    const house = {
      stage,
      cursors: this.#cursors,
      choice: this.#choice,
      newStage: () => new Stage(failed, listened),
      link: () => (this.#link?.isOpen ? this.#link : undefined),
      changed: () => this.#after("reopen", 0, () => this.#reopen()),
      /** @param {object} message */
      post: (message) => post(this.#urls.send, message, all, this.#rights),
    };
    this.#joined = new Joined(house);
    this.#outbox = new Outbox(house, all.maxUnsent);
    this.#hearing = new Hearing(house, this.#joined);
    all.signal?.addEventListener("abort", () => this.close());
    if (all.signal?.aborted) this.close();
    else this.#start();
  }

  /** How it stands: the same object until that changes. */
  get state() {
    return this.#state;
  }

  /** The id up to which the page has heard all of the route's own channels: a `position` for another client. */
  get cursor() {
    return this.#cursors.own;
  }

  /** How many messages have no answer yet. */
  get unsent() {
    return this.#outbox.count;
  }

  /**
   * Sends a message, and answers the data of the reply.
   *
   * @template {keyof Events & string} Name
   * @param {Name} event
   * @param {Events[Name]} [data] what JSON can hold
   * @param {{ key?: string | undefined, whileAway?: Policy | undefined }} [options] `key`: the same for a message that is sent again, so that it acts once
   * @returns {Promise<any>} rejects with a `LiveError`
   */
  send(event, data, { key, whileAway = policyOf(this.#options.whileAway, event) } = {}) {
    if (this.#state.status === "closed") return Promise.reject(new LiveError("closed"));
    return this.#outbox.send({ event, data, key }, whileAway);
  }

  /**
   * Follows another channel on this connection, where the route lets it.
   *
   * @param {string} name
   * @param {{ position?: string | undefined }} [options]
   * @returns {import("./channel.js").Channel<Events>}
   */
  subscribe(name, { position } = {}) {
    return this.#joined.join(name, position);
  }

  /** Connects anew, now: also after it was closed. */
  reconnect() {
    if (this.#state.status === "closed") return this.#start();
    this.#reopen();
  }

  /** Ends it. */
  close() {
    this.#finish({ reason: "left" });
  }

  // Connecting.

  #start() {
    this.#stage.isOver = false;
    this.#refusals = 0;
    this.#isPutAway = false;
    this.#backoff.reset();
    const moved = () => this.#move();
    this.#unwatch ??= watch(
      {
        visibilitychange: () => (isHidden() ? this.#keep() : this.#wake()),
        pagehide: () => this.#putAway(),
        pageshow: () => this.#bringBack(),
        online: moved,
      },
      moved,
    );
    this.#attempt();
  }

  async #attempt() {
    const turn = ++this.#turn;
    const transport = this.#choice.current;
    this.#attemptedAt = Date.now();
    // What the page is asked for may never come.
    this.#after("retry", this.#options.connectTimeout, () => this.#retry({ reason: "silent" }));
    this.#change({ ...this.#state, status: "connecting", transport, retryAt: undefined });
    try {
      const ready = await this.#prepare(transport);
      if (turn !== this.#turn) return;
      this.#cancel("retry");
      this.#link = this.#open(transport, ready);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#fail(error);
      this.#retry({ reason: "lost", message: String(error) });
    }
  }

  /** What a connection needs that takes its time. @param {TransportName} transport */
  #prepare(transport) {
    return Promise.all([openerOf(transport), this.#rights.ask()]);
  }

  /**
   * A new connection. Whoever asks for it keeps it at once: before it says its first word, or that there is none.
   *
   * @param {TransportName} transport
   * @param {Ready} ready
   */
  #open(transport, [open, { token, headers, query }]) {
    const isSocket = transport === "ws";
    // Each channel has a cursor of its own there; a stream has one for all.
    const shown = isSocket ? this.#cursors.own : this.#cursors.smallest();
    const channels = isSocket ? [] : this.#joined.names;
    const url = new URL(isSocket ? this.#urls.ws : this.#urls.sse);
    if (shown !== undefined) url.searchParams.set("last-event-id", shown);
    const own = url.searchParams.get("channels");
    if (channels.length) url.searchParams.set("channels", [...(own ? [own] : []), ...channels].join());
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const names = () => [...this.#stage.names(), ...this.#joined.events()];
    const request = { ...this.#options, url: url.href, token, headers, names, shown, channels };
    return new Link(transport, open, request, {
      opened: (link, welcome) => this.#opened(link, welcome),
      frame: (link, frame) => link === this.#link && this.#hearing.hear(link, frame),
      unknown: (_, frame) => this.#hearing.unknown(frame),
      lost: (link, end) => this.#lost(link, end),
    });
  }

  /** @param {Link} link @param {Notice} welcome */
  #opened(link, welcome) {
    const isProbe = link === this.#probe;
    if (!isProbe && link !== this.#link) return link.close();
    const { shown, channels } = link.asked;
    if (isProbe) {
      // A greeting without a place: it is refused, and hears why in a moment.
      if (shown && !welcome.id) return;
      // It takes over.
      this.#link?.close();
      this.#link = link;
      this.#probe = undefined;
      this.#outbox.lost();
      this.#choice.returned();
    } else {
      this.#choice.opened();
    }
    this.#refusals = 0;
    this.#cursors.opened(welcome.id, shown, channels);
    this.#joined.opened(link, welcome.channels);
    if (!isProbe && (shown || !this.#joined.isWhole)) this.#hearing.interrupted();
    this.#outbox.flush();
    this.#refreshIn(welcome.expires);
    this.#after("stable", this.#options.stableAfter, () => this.#backoff.reset());
    this.#probeLater();
    // At last, since the page may close it at this.
    this.#change({ status: "open", transport: link.transport });
  }

  /** Why it ended says whether it comes back, by which transport, and when. @param {Link} link @param {End} end */
  #lost(link, end) {
    if (link === this.#probe) {
      this.#probe = undefined;
      return this.#probeLater();
    }
    if (link !== this.#link) return;
    this.#drop();
    const isFinal = end.reconnect === false || FINAL_STATUSES.includes(end.status ?? 0);
    if (end.status === 401 && this.#refusals++ === 0 && this.#rights.areAsked) {
      this.#rights.areStale = true;
      this.#choice.again();
      return this.#attempt();
    }
    if (end.reason === "expired") this.#rights.areStale = true;
    if (isFinal) return this.#finish(end);
    const isSilent = end.reason === "silent" && !link.hasLasted;
    if (end.reconnect !== true && (!link.isOpen || isSilent)) {
      if (this.#choice.refused()) return this.#attempt();
    } else {
      this.#choice.again();
    }
    this.#retry(end);
  }

  /** Waits, and tries again. @param {End} end */
  #retry({ reason, code, message, retry }) {
    this.#turn++;
    this.#refusals = 0;
    const isAway = isHidden() || isOffline();
    const pause = this.#backoff.next(retry);
    const wait = isOffline() ? Math.max(pause, this.#options.maxDelay) : pause;
    // Whoever is hidden waits to be seen.
    this.#after("retry", wait, () => (isHidden() ? this.#change({ ...this.#state, status: "away" }) : this.#attempt()));
    this.#change({ status: isAway ? "away" : "waiting", retryAt: Date.now() + wait, reason, code, message });
  }

  /** Takes its connections away from it, and what depended on them. */
  #drop() {
    this.#turn++;
    this.#cancel(...this.#timers.keys());
    this.#link?.close();
    this.#probe?.close();
    this.#link = this.#probe = undefined;
    this.#outbox.lost();
  }

  #reopen() {
    this.#drop();
    this.#choice.again();
    this.#attempt();
  }

  /** @param {End} end */
  #finish({ reason, code, message }) {
    if (this.#state.status === "closed") return;
    this.#drop();
    this.#keep();
    this.#unwatch?.();
    this.#unwatch = undefined;
    const error = new LiveError("closed", message ?? reason);
    this.#outbox.close(error);
    this.#joined.endAll(error);
    this.#stage.end();
    /** @type {State} */
    const state = { status: "closed", reason, code, message };
    this.#change(state);
    this.#stage.tell("closed", state);
  }

  // What the page goes through.

  /** It may be seen, or is told that the network is back: what waits goes on, and what fell silent is found. */
  #wake() {
    this.#link?.check();
    if (isHidden() || this.#isPutAway || !["waiting", "away"].includes(this.#state.status)) return;
    this.#soon("retry", () => this.#attempt());
  }

  /** What the old network carried is gone, and what it did not let through may pass now. */
  #move() {
    this.#choice.anew();
    if (this.#state.status !== "open") return this.#wake();
    this.#soon("reopen", () => this.#reopen());
  }

  #keep() {
    if (this.#key) stored(this.#key, this.#cursors.saved());
  }

  #putAway() {
    this.#isPutAway = true;
    this.#keep();
    this.#drop();
    this.#change({ status: "away" });
  }

  #bringBack() {
    if (!this.#isPutAway) return;
    this.#isPutAway = false;
    this.#reopen();
  }

  // A better transport, tried beside one that serves.

  #probeLater() {
    if (this.#choice.isBest || !this.#link?.isOpen) return;
    this.#after("probe", this.#choice.nextProbe(), () => this.#tryBest());
  }

  async #tryBest() {
    if (isHidden() || isOffline()) return this.#probeLater();
    this.#choice.probed();
    const turn = this.#turn;
    try {
      const ready = await this.#prepare(this.#choice.best);
      if (turn === this.#turn) this.#probe = this.#open(this.#choice.best, ready);
    } catch (error) {
      this.#fail(error);
      if (turn === this.#turn) this.#probeLater();
    }
  }

  // A new token before the old one runs out.

  /** A new token before the session runs out. @param {number | undefined} expires in milliseconds */
  #refreshIn(expires) {
    this.#cancel("refresh");
    if (expires === undefined || !this.#rights.areAsked) return;
    this.#after("refresh", Math.max(SHORTEST_PAUSE, expires * REFRESH_AT), () => this.#refresh());
  }

  async #refresh() {
    const link = this.#link;
    this.#rights.areStale = true;
    if (!link?.canSend || !this.#options.token) return this.#reopen();
    let token;
    try {
      ({ token } = await this.#rights.ask());
    } catch (error) {
      return this.#fail(error);
    }
    if (link !== this.#link || !link.isOpen) return;
    link.ask({ control: "token", token }, ({ code, data }) => {
      // Refused, it lives until its time is over, and comes back.
      if (code === "no-token") this.#reopen();
      else if (!code) this.#refreshIn(data?.expires);
    });
  }

  // Small things.

  /** What the page's own code threw. @param {unknown} error */
  #fail(error) {
    if (!this.#stage.tell("error", error)) console.error("dualcast:", error);
  }

  /** @param {State} state */
  #change(state) {
    this.#state = Object.freeze(state);
    this.#stage.tell("state", state);
  }

  /** At once, but not twice within the shortest pause, whichever way a clock is set. @param {string} name @param {() => void} run */
  #soon(name, run) {
    this.#after(name, Math.min(SHORTEST_PAUSE, this.#attemptedAt + SHORTEST_PAUSE - Date.now()), run);
  }

  /** @param {string} name @param {number} milliseconds @param {() => void} run */
  #after(name, milliseconds, run) {
    this.#cancel(name);
    this.#timers.set(name, setTimeout(run, Math.min(milliseconds, LONGEST_TIMER)));
  }

  /** @param {...string} names */
  #cancel(...names) {
    for (const name of names) clearTimeout(this.#timers.get(name));
  }
}
