// What lasts while links come and go: which of them there is, when the next is tried, and what the page is told of that.
//
// At most one link serves. Another may be tried beside it, the probe, which takes over when it opens: one of a better transport, or an event
// stream of other channels or with another token. What a link says that is neither of the two any more is not heard.

import { createBackoff } from "./backoff.js";
import { createChoice } from "./choice.js";
import { createCursors } from "./cursors.js";
import { isHidden, isOffline, LONGEST_TIMER, stored, watch } from "./environment.js";
import { LiveError } from "./error.js";
import { createHearing } from "./hearing.js";
import { createJoined } from "./joined.js";
import { createLink, openerOf } from "./link.js";
import { policyOf, urlsOf, withDefaults } from "./options.js";
import { createOutbox } from "./outbox.js";
import { createRights, post } from "./rights.js";
import { createStage } from "./stage.js";

/** @typedef {import("./choice.js").TransportName} TransportName */
/** @typedef {import("./frames.js").Notice} Notice */
/** @typedef {import("./link.js").End} End */
/** @typedef {import("./link.js").Link} Link */
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

/** @typedef {Pick<State, "reason" | "code" | "message">} Why */

/** The least time between two attempts, whatever wakes the client, in milliseconds. */
const SHORTEST_PAUSE = 1_000;
/** For how long changes of the joined channels are gathered for one event stream, in milliseconds. */
const GATHERING = 50;
/** When a new token is fetched, of the time that a session has. */
const REFRESH_AT = 0.8;
/** At these statuses the server won't have the client, whenever it comes. */
const FINAL_STATUSES = [204, 401, 403, 410];
/** These may be for a channel that was asked for. */
const REFUSALS = [400, 403, 404, 410];
/** So the server ends a connection for what was sent by it. Another one is as good as the first. */
const OWN_FAULTS = ["too-large", "bad-messages"];

/** @param {Address} address @param {Options} given */
export function createConnection(address, given) {
  const options = withDefaults(given);
  const { connectTimeout, maxDelay, persist, position, stableAfter, transports, whileAway } = options;
  const urls = urlsOf(address);
  /** Where the cursors are kept over a reload, if they are. */
  const key = persist && `dualcast cursors ${persist} ${urls.sse}`;
  /** To which somebody listens: native event streams have to be told. @type {Set<string>} */
  const events = new Set();
  const newStage = () => createStage(fail, events);
  const stage = newStage();
  const choice = createChoice(transports, `dualcast transport ${new URL(urls.ws).origin} ${transports}`);
  const backoff = createBackoff(options);
  const rights = createRights(options);
  const cursors = createCursors((key && stored(key)) ?? {}, position);
  const house = {
    stage,
    cursors,
    choice,
    newStage,
    link: () => (link?.isOpen ? link : undefined),
    changed() {
      // What is under way finds out by itself, and a pause is not to be cut short.
      if (!isRenewing) after("renew", GATHERING, renew);
      isRenewing = true;
    },
    /** @param {object} message */
    post: (message) => post(urls.send, message, options, rights),
  };
  const joined = createJoined(house);
  const outbox = createOutbox(house, options);
  const hearing = createHearing(house, joined);

  /** @type {State} */
  let state = Object.freeze({ status: "connecting" });
  /** @type {Link | undefined} */
  let link;
  /** @type {Link | undefined} */
  let probe;
  /** Counts attempts, so that one which was overtaken stops. */
  let turn = 0;
  let attemptedAt = -Infinity;
  /** How often, in a row and without a pause, it was not let in for want of a good token. */
  let refusals = 0;
  let isPutAway = false;
  /** Whether another event stream is due, or on its way. */
  let isRenewing = false;
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  const timers = new Map();
  /** @type {(() => void) | undefined} */
  let unwatch;

  // Connecting.

  function start() {
    stage.isOver = isPutAway = false;
    backoff.reset();
    refusals = 0;
    unwatch ??= watch({
      visibilitychange: () => (isHidden() ? keep() : wake()),
      pagehide: putAway,
      pageshow: bringBack,
      online: move,
    });
    options.signal?.addEventListener("abort", close);
    attempt();
  }

  /** @param {Why} [why] of the link that it follows without a pause */
  async function attempt(why = state) {
    const own = ++turn;
    const transport = choice.current;
    attemptedAt = Date.now();
    // What the page is asked for may never come.
    after("retry", connectTimeout, () => retryAfter({ reason: "silent" }));
    change("connecting", why, { transport });
    try {
      const ready = await prepare(transport);
      if (own !== turn) return;
      cancel("retry");
      link = open(transport, ready);
    } catch (error) {
      if (own !== turn) return;
      retryAfter({ reason: "lost", message: String(error) });
      // The page may close it at this.
      fail(error);
    }
  }

  /** What a link needs that takes its time. @param {TransportName} transport */
  const prepare = (transport) => Promise.all([openerOf(transport), rights.ask()]);

  /**
   * A new link. Whoever asks for it keeps it at once: before it says its first word, or that there is none.
   *
   * @param {TransportName} transport
   * @param {Ready} ready
   */
  function open(transport, [openWire, right]) {
    const isSocket = transport === "ws";
    // Each channel has a cursor of its own there; a stream has one for all.
    const shown = isSocket ? cursors.of() : cursors.smallest();
    const members = isSocket ? [] : joined.all();
    const url = new URL(isSocket ? urls.ws : urls.sse);
    const { searchParams } = url;
    if (shown) searchParams.set("last-event-id", shown);
    const names = [searchParams.get("channels"), ...members.map(({ name }) => name)].filter(Boolean).join();
    if (names) searchParams.set("channels", names);
    for (const [name, value] of Object.entries(right.query)) searchParams.set(name, value);
    const request = { ...options, url: url.href, right, events, shown, members };
    return createLink(transport, openWire, request, {
      opened,
      frame: (by, frame) => by === link && hearing.hear(by, frame),
      unknown: hearing.unknown,
      lost,
    });
  }

  /** @param {Link} by @param {Partial<Notice>} welcome */
  function opened(by, welcome) {
    const { transport, asked } = by;
    const isProbe = by === probe;
    if (isProbe) {
      // A WebSocket of no place and no channels is refused, and hears why in a moment.
      if (transport === "ws" && asked.shown && !welcome.id && !welcome.channels) return;
      // It was asked for before there was a cursor, and begins behind what the other may have yet to tell.
      if (!asked.shown && cursors.of()) return renew();
      // It takes over, also from what else is on its way there.
      turn++;
      isRenewing = false;
      cancel("renew");
      link?.close();
      link = by;
      probe = undefined;
      outbox.lost();
    }
    refusals = 0;
    choice.opened(transport);
    joined.opened(by, welcome);
    if (!isProbe && (asked.shown || !joined.isWhole())) hearing.interrupted();
    refreshIn(welcome.expires);
    after("stable", stableAfter, backoff.reset);
    if (!isProbe || transport !== state.transport) {
      probeLater();
      change("open", {}, { transport });
    }
    // At last, since the page may close it at this, and at that.
    outbox.flush();
  }

  /** Why it ended says whether it comes back, by which transport, and when. @param {Link} by @param {End} end */
  function lost(by, end) {
    const { transport, asked } = by;
    const { reason, status = 0, reconnect, message } = end;
    // Of a WebSocket that is refused a page can't see why.
    const isBlind = transport === "ws" && !by.isOpen && !transports[1];
    if (status === 401 || reason === "expired" || isBlind) rights.areStale = true;
    const refusal = REFUSALS.includes(status) && new LiveError(`http-${status}`, message);
    if (by === probe) {
      probe = undefined;
      if (transport !== link?.transport) return;
      // The one that serves goes on.
      isRenewing = !refusal;
      cancel("renew");
      if (refusal) joined.endAll(refusal, asked.members, link);
      else after("renew", backoff.next(end.retry), renew);
      return;
    }
    if (by !== link) return;
    const ownFault = OWN_FAULTS.includes(reason) && reason;
    drop(ownFault);
    // What became of attempts beside it says nothing of this.
    if (by.hasLasted()) backoff.reset();
    if (status === 401 && rights.areAsked && refusals++ === 0) {
      choice.again();
      return attempt(end);
    }
    if (refusal && asked.members.length) joined.endAll(refusal, asked.members);
    else if (FINAL_STATUSES.includes(status) || (reconnect === false && !ownFault)) return finish(end);
    else if (reconnect || (by.isOpen && (reason !== "silent" || by.hasLasted()))) choice.again();
    else if (choice.refused()) return attempt(end);
    retryAfter(end);
  }

  /** Waits, and tries again. @param {End} end */
  function retryAfter(end) {
    turn++;
    refusals = 0;
    const wait = Math.max(backoff.next(end.retry), isOffline() ? maxDelay : 0);
    // Whoever is hidden waits to be seen.
    after("retry", wait, () => (isHidden() ? change("away", state) : attempt()));
    const retryAt = isHidden() ? undefined : Date.now() + wait;
    change(isHidden() || isOffline() ? "away" : "waiting", end, { retryAt });
  }

  /** Takes its links away from it, and what depended on them. @param {string | false} [code] what became of what was sent */
  function drop(code) {
    turn++;
    isRenewing = false;
    timers.forEach(clearTimeout);
    link?.close();
    probe?.close();
    link = probe = undefined;
    outbox.lost(code);
  }

  function reopen() {
    drop();
    choice.again();
    attempt();
  }

  /** @param {End} end */
  function finish(end) {
    if (isClosed()) return;
    drop();
    keep();
    unwatch?.();
    unwatch = undefined;
    options.signal?.removeEventListener("abort", close);
    const error = new LiveError("closed", end.message ?? end.reason);
    outbox.close(error);
    joined.endAll(error);
    stage.end();
    change("closed", end);
    stage.tell("closed", state);
  }

  const close = () => finish({ reason: "left" });
  const isClosed = () => state.status === "closed";

  // What the page goes through.

  /** It may be seen, or is told that the network is back: what waits goes on, and what fell silent is found. */
  function wake() {
    link?.check();
    if (isHidden() || isPutAway || !["waiting", "away"].includes(state.status)) return;
    soon("retry", attempt);
  }

  /** What the old network carried is gone, and what it did not let through may pass now. */
  function move() {
    choice.anew();
    if (state.status !== "open") return wake();
    soon("reopen", reopen);
  }

  function keep() {
    if (key) stored(key, cursors.saved());
  }

  function putAway() {
    isPutAway = true;
    keep();
    drop();
    change("away", {});
  }

  function bringBack() {
    if (!isPutAway) return;
    isPutAway = false;
    reopen();
  }

  // Another link, tried beside the one that serves.

  /** @param {TransportName} transport */
  async function tryBeside(transport) {
    const own = turn;
    const begunAt = Date.now();
    try {
      const ready = await prepare(transport);
      // The page may have taken its time.
      if (own !== turn || Date.now() - begunAt >= connectTimeout) return;
      // One of a better transport can wait.
      if (probe && transport !== link?.transport) return;
      probe?.close();
      probe = open(transport, ready);
    } catch (error) {
      fail(error);
    }
  }

  /** Tries the best transport from time to time, whatever becomes of it. */
  function probeLater() {
    cancel("probe");
    if (choice.isBest) return;
    after("probe", choice.nextProbe(), () => {
      if (isHidden() || isOffline()) return probeLater();
      choice.probed();
      // First: the page may close it at what it is asked.
      probeLater();
      tryBeside(choice.best);
    });
  }

  /** The request has to say something else. */
  function renew() {
    if (!link?.isOpen) return;
    // The page may never answer what it is asked for; and then a connection has its time.
    after("renew", 2 * connectTimeout, renew);
    tryBeside(link.transport);
  }

  // A new token before the old one runs out.

  /** A new token before the session runs out, and again should nothing come of it. @param {number | undefined} expires in milliseconds */
  function refreshIn(expires) {
    cancel("refresh");
    if (expires === undefined || !rights.areAsked) return;
    after("refresh", Math.max(SHORTEST_PAUSE, expires * REFRESH_AT), () => {
      refreshIn(expires * (1 - REFRESH_AT));
      refresh();
    });
  }

  async function refresh() {
    const by = link;
    rights.areStale = true;
    if (!by?.canSend() || !options.token) return house.changed();
    try {
      const { token } = await rights.ask();
      if (by !== link) return;
      by.ask({ control: "token", token }, ({ code, data }) => {
        // Refused, it lives until its time is over, and comes back.
        if (code === "no-token") house.changed();
        else if (!code) refreshIn(data?.expires);
      });
    } catch (error) {
      fail(error);
    }
  }

  // Small things.

  /** What the page's own code threw. @param {unknown} error */
  function fail(error) {
    if (!stage.tell("error", error)) console.error("dualcast:", error);
  }

  /** @param {State["status"]} status @param {Why} why @param {Partial<State>} [more] */
  function change(status, { reason, code, message }, more) {
    state = Object.freeze({ status, reason, code, message, ...more });
    stage.tell("state", state);
  }

  /** At once, but not twice within the shortest pause, whichever way a clock is set. @param {string} name @param {() => void} run */
  function soon(name, run) {
    after(name, Math.min(SHORTEST_PAUSE, attemptedAt + SHORTEST_PAUSE - Date.now()), run);
  }

  /** @param {string} name @param {number} milliseconds @param {() => void} run */
  function after(name, milliseconds, run) {
    cancel(name);
    timers.set(name, setTimeout(run, Math.min(milliseconds, LONGEST_TIMER)));
  }

  /** @param {string} name */
  function cancel(name) {
    clearTimeout(timers.get(name));
  }

  if (options.signal?.aborted) close();
  else start();

  return {
    stage,
    close,
    state: () => state,
    cursor: cursors.of,
    unsent: outbox.count,
    reconnect: () => (isClosed() ? start() : reopen()),

    /** @param {import("./outbox.js").Message} message @param {Policy} policy */
    async send(message, policy = policyOf(whileAway, message.event)) {
      if (isClosed()) throw new LiveError("closed");
      return outbox.send(message, policy);
    },

    /** @param {string} name @param {string} [position] */
    subscribe(name, position) {
      const channel = joined.join(name, position);
      if (isClosed()) joined.end(name, new LiveError("closed"));
      return channel;
    },
  };
}
