// One connection, whatever carries it: it is opened or not, hears until it falls silent, and ends once, with all that is known of why.

import { createAsks } from "./asks.js";
import { LONGEST_TIMER } from "./environment.js";
import { openEventStream } from "./sse.js";
import { openWebSocket } from "./web-socket.js";

/** @typedef {import("./asks.js").Answer} Answer */
/** @typedef {import("./choice.js").TransportName} TransportName */
/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./frames.js").Notice} Notice */
/** @typedef {import("./joined.js").Member} Member */
/** @typedef {import("./rights.js").Right} Right */

/**
 * @typedef {object} Request
 * @property {string} url
 * @property {Right} right
 * @property {RequestCredentials} credentials
 * @property {typeof fetch} fetch
 * @property {typeof WebSocket} WebSocket
 * @property {typeof EventSource} EventSource
 * @property {Set<string>} events those that somebody listens to, or did
 * @property {string | undefined} shown the cursor that the server is shown
 * @property {Member[]} members the joined channels that it is asked for
 * @property {number} connectTimeout in milliseconds, as all of these
 * @property {number} stableAfter
 * @property {number} replyTimeout
 * @property {number} [silence]
 */

/**
 * @typedef {object} Wire
 * @property {() => void} close
 * @property {(text: string) => void} [send]
 */

/**
 * What a wire tells.
 *
 * @typedef {object} Ear
 * @property {() => void} alive bytes came, perhaps of a frame that is large
 * @property {(read: () => Frame, raw?: unknown) => void} frame something came; what can't be read is told as it is
 * @property {(milliseconds: number) => void} retry the server says when to come back
 * @property {(end: { status?: number, code?: any, message?: string, retry?: number }) => void} lost
 */

/** @typedef {(request: Request, to: Ear) => Wire} OpenWire */

/**
 * Why a connection ended.
 *
 * @typedef {object} End
 * @property {string} reason the server's; or `lost`, `silent`, `refused` with a status
 * @property {number} [code] of a `closing`, of the close frame, or of an HTTP answer that is no stream
 * @property {number} [status] of that answer
 * @property {string} [message] for people
 * @property {number} [retry] come back after so many milliseconds
 * @property {boolean} [reconnect] whether the server wants it back, where it says so
 */

/**
 * @typedef {object} Listener
 * @property {(link: Link, welcome: Partial<Notice>) => void} opened
 * @property {(link: Link, frame: Frame) => void} frame
 * @property {(frame: unknown) => void} unknown
 * @property {(link: Link, end: End) => void} lost
 */

/**
 * @typedef {object} Link
 * @property {TransportName} transport
 * @property {Request} asked for what the server was asked, and with which cursor
 * @property {boolean} isOpen
 * @property {() => boolean} hasLasted whether it went on after its beginning
 * @property {() => boolean} canSend whether messages go out by it, once it is open
 * @property {(message: object, answered: (answer: Answer) => void) => void} ask asks something that is answered, unless the connection ends first
 * @property {(answer: any) => boolean} answer the server's. Answers whether it was waited for
 * @property {() => void} check ends it where it is silent for too long already: no timer runs while a machine sleeps
 * @property {() => void} close ends it, without a word to its listener
 */

/** What opens a wire. @type {Record<string, OpenWire>} */
const OPENERS = { ws: openWebSocket, sse: openEventStream };

/** The statuses that have names. @type {Record<number, string>} */
const REASONS = { 204: "finished", 401: "unauthorized" };

/** How often a server is taken to speak that does not say so, in milliseconds. */
const USUAL_INTERVAL = 20_000;

/** What opens a wire. The browser's own EventSource is for few: it is loaded when it is wanted. @param {TransportName} transport */
export async function openerOf(transport) {
  return OPENERS[transport] ?? (await import("./event-source.js")).openEventSource;
}

/**
 * @param {TransportName} transport
 * @param {OpenWire} open what carries it
 * @param {Request} request
 * @param {Listener} to
 * @returns {Link}
 */
export function createLink(transport, open, request, to) {
  const asks = createAsks();
  /** @type {Wire | undefined} */
  let wire;
  let openedAt = Infinity;
  let heardAt = Date.now();
  let isEnded = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let interval = USUAL_INTERVAL;
  /** @type {number | undefined} */
  let retry;
  /** The most that the server takes in one message, in bytes. */
  let maxBytes = Infinity;

  /** @type {Link} */
  const link = {
    transport,
    asked: request,
    isOpen: false,
    hasLasted: () => heardAt - openedAt >= request.stableAfter,
    canSend: () => Boolean(wire?.send),
    answer: asks.answer,

    ask(message, answered) {
      const asked = asks.ask(message, answered);
      const text = JSON.stringify(asked);
      // It would be the end of the connection.
      if (new Blob([text]).size > maxBytes) asks.answer({ ref: asked.ref, code: "too-large" });
      else wire?.send?.(text);
      link.check();
    },

    check() {
      clearTimeout(timer);
      // A clock may be set back.
      heardAt = Math.min(heardAt, Date.now());
      const { connectTimeout, silence = 2 * interval, replyTimeout } = request;
      const until = Math.min(heardAt + (link.isOpen ? silence : connectTimeout), asks.since() + replyTimeout);
      const left = until - Date.now();
      if (left <= 0) end({ reason: "silent" });
      else timer = setTimeout(link.check, Math.min(left, LONGEST_TIMER));
    },

    close() {
      isEnded = true;
      clearTimeout(timer);
      wire?.close();
    },
  };

  /** @param {() => Frame} read @param {unknown} raw */
  function hear(read, raw) {
    if (isEnded) return;
    heardAt = Date.now();
    /** @type {any} */
    let frame;
    let control;
    try {
      ({ control } = frame = read());
    } catch {
      return to.unknown(raw);
    }
    if (control === "closing") return end(frame);
    const isGreeting = control === "welcome" || control === "heartbeat";
    if (isGreeting) ({ interval = interval, retry = retry, max_bytes: maxBytes = maxBytes } = frame);
    if (link.isOpen) return to.frame(link, frame);
    // The first word opens it. It is a greeting, unless the route has comments for those.
    link.isOpen = true;
    openedAt = Date.now();
    link.check();
    to.opened(link, isGreeting ? frame : {});
    if (!isGreeting) to.frame(link, frame);
  }

  /** @param {End} why */
  function end(why) {
    if (isEnded) return;
    link.close();
    to.lost(link, { retry, ...why });
  }

  try {
    wire = open(request, {
      alive: () => link.isOpen && (heardAt = Date.now()),
      frame: hear,
      retry: (milliseconds) => (retry = milliseconds),
      lost: (why) => {
        const { status, code } = why;
        end({ reason: status ? (REASONS[status] ?? "refused") : "lost", ...why, code: status ?? code });
      },
    });
  } catch (error) {
    // Such as a token that no subprotocol can carry.
    queueMicrotask(() => end({ reason: "lost", message: String(error) }));
  }
  link.check();
  return link;
}
