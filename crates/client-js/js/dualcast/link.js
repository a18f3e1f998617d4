// One connection, whatever carries it: it is opened or not, hears until it falls silent, and ends once, with all that is known of why.

import { Asks } from "./asks.js";
import { LONGEST_TIMER } from "./environment.js";
import { openEventStream } from "./sse.js";
import { openWebSocket } from "./web-socket.js";

/** @typedef {import("./choice.js").TransportName} TransportName */
/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./frames.js").Notice} Notice */

/**
 * @typedef {object} Request
 * @property {string} url
 * @property {Headers} headers
 * @property {RequestCredentials} credentials
 * @property {string | null} [token]
 * @property {typeof fetch} fetch
 * @property {typeof WebSocket} WebSocket
 * @property {typeof EventSource} EventSource
 * @property {() => string[]} names the events that somebody listens to
 * @property {string | undefined} shown the cursor that the server is shown
 * @property {string[]} channels the joined channels that it is asked for
 * @property {number} connectTimeout in milliseconds, as all of these
 * @property {number} stableAfter
 * @property {number} replyTimeout
 * @property {number} [silence]
 */

/**
 * @typedef {object} Wire
 * @property {() => void} close
 * @property {(message: object) => void} [send]
 * @property {(event: string) => void} [listen]
 */

/**
 * What a wire tells.
 *
 * @typedef {object} Ear
 * @property {() => void} alive bytes came, perhaps of a frame that is large
 * @property {(read: () => Frame, raw?: unknown) => void} frame something came; what can't be read is told as it is
 * @property {(milliseconds: number) => void} retry the server says when to come back
 * @property {(end: { status?: number, code?: number, message?: string, retry?: number }) => void} lost
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
 * @property {(link: Link, welcome: Notice) => void} opened
 * @property {(link: Link, frame: Frame) => void} frame
 * @property {(link: Link, frame: unknown) => void} unknown
 * @property {(link: Link, end: End) => void} lost
 */

/** What opens a wire. The browser's own EventSource is for few: it is loaded when it is wanted. @type {Record<TransportName, () => Promise<OpenWire>>} */
const OPENERS = {
  ws: async () => openWebSocket,
  sse: async () => openEventStream,
  eventsource: async () => (await import("./event-source.js")).openEventSource,
};

/** The statuses that have names. @type {Record<number, string>} */
const REASONS = { 204: "finished", 401: "unauthorized" };

/** How often a server is taken to speak that does not say so, in milliseconds. */
const USUAL_INTERVAL = 20_000;

/** What opens a connection by this transport. @param {TransportName} transport */
export const openerOf = (transport) => OPENERS[transport]();

export class Link {
  transport;
  /** For what the server was asked, and with which cursor. */
  asked;
  isOpen = false;
  asks = new Asks();
  #to;
  /** @type {Wire | undefined} */
  #wire;
  #openedAt = Infinity;
  #heardAt = Date.now();
  #isEnded = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #interval = USUAL_INTERVAL;
  /** @type {number | undefined} */
  #retry;

  /**
   * @param {TransportName} transport
   * @param {OpenWire} open what carries it
   * @param {Request} request
   * @param {Listener} to
   */
  constructor(transport, open, request, to) {
    this.transport = transport;
    this.asked = request;
    this.#to = to;
    try {
      this.#wire = open(request, {
        alive: () => this.isOpen && (this.#heardAt = Date.now()),
        frame: (read, raw) => this.#isEnded || this.#read(read, raw),
        retry: (milliseconds) => (this.#retry = milliseconds),
        lost: (end) => this.#end({ reason: end.status ? (REASONS[end.status] ?? "refused") : "lost", code: end.status, ...end }),
      });
    } catch (error) {
      // Such as a token that no subprotocol can carry.
      queueMicrotask(() => this.#end({ reason: "lost", message: String(error) }));
    }
    this.check();
  }

  /** Whether it went on after its beginning. */
  get hasLasted() {
    return this.#heardAt - this.#openedAt >= this.asked.stableAfter;
  }

  /** Whether messages go out by it. */
  get canSend() {
    return this.isOpen && this.#wire?.send !== undefined;
  }

  /** Asks something that is answered, unless the connection ends first. @param {object} message @param {(answer: import("./asks.js").Answer) => void} answered */
  ask(message, answered) {
    this.#wire?.send?.(this.asks.ask(message, answered));
    this.check();
  }

  /** Hears these events, too, where a transport has to be told. @param {string} event */
  listenTo(event) {
    if (this.isOpen) this.#wire?.listen?.(event);
  }

  /** Ends it, without a word to its listener. */
  close() {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#wire?.close();
  }

  /** Ends it where it is silent for too long already: no timer runs while a machine sleeps. */
  check() {
    clearTimeout(this.#timer);
    const { connectTimeout, silence = 2 * this.#interval, replyTimeout } = this.asked;
    const limit = this.isOpen ? silence : connectTimeout;
    const until = Math.min(this.#heardAt + limit, this.asks.since() + replyTimeout);
    const left = until - Date.now();
    if (left <= 0) this.#end({ reason: "silent" });
    else this.#timer = setTimeout(() => this.check(), Math.min(left, LONGEST_TIMER));
  }

  /** @param {() => Frame} read @param {unknown} raw */
  #read(read, raw) {
    this.#heardAt = Date.now();
    /** @type {any} */
    let frame;
    let control;
    try {
      ({ control } = frame = read());
    } catch {
      return this.#to.unknown(this, raw);
    }
    if (control === "closing") return this.#end(frame);
    const isGreeting = control === "welcome" || control === "heartbeat";
    if (isGreeting) {
      this.#interval = frame.interval ?? this.#interval;
      this.#retry = frame.retry ?? this.#retry;
    }
    if (this.isOpen) return this.#to.frame(this, frame);
    // The first word opens it. It is a greeting, unless the route has comments for those.
    this.isOpen = true;
    this.#openedAt = Date.now();
    this.check();
    this.#to.opened(this, isGreeting ? frame : { control: "welcome" });
    if (!isGreeting) this.#to.frame(this, frame);
  }

  /** @param {End} end */
  #end(end) {
    if (this.#isEnded) return;
    this.close();
    this.#to.lost(this, { ...end, retry: end.retry ?? this.#retry });
  }
}
