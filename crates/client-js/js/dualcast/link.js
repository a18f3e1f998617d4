// One connection, whatever carries it: it is opened or not, hears until it falls silent, and ends once, with all that is known of why.

import { openEventSource } from "./event-source.js";
import { openEventStream } from "./sse.js";
import { openWebSocket } from "./web-socket.js";

/** @typedef {import("./choice.js").TransportName} TransportName */
/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./frames.js").Notice} Notice */

/**
 * @typedef {object} Request
 * @property {string} url
 * @property {HeadersInit} [headers]
 * @property {RequestCredentials} [credentials]
 * @property {string | null} [token]
 * @property {typeof fetch} fetch
 * @property {typeof WebSocket} WebSocket
 * @property {typeof EventSource} EventSource
 * @property {() => string[]} names the events that somebody listens to
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
 * @property {() => void} alive something came
 * @property {(frame: Frame) => void} frame the first one is a `welcome`
 * @property {(frame: unknown) => void} unknown what makes no sense
 * @property {(end: { status?: number, code?: number, message?: string, retry?: number }) => void} lost
 */

/** @typedef {(request: Request, to: Ear) => Wire} OpenWire */

/**
 * Why a connection ended.
 *
 * @typedef {object} End
 * @property {string} reason the server's; or `lost`, `silent`, `refused` with a status
 * @property {number} [code] of a `closing`, or of the close frame
 * @property {number} [status] of an HTTP answer that is no stream
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
 * @property {(link: Link) => number | undefined} waitingSince since when an answer is waited for on this connection
 */

/** @type {Record<TransportName, OpenWire>} */
const WIRES = { ws: openWebSocket, sse: openEventStream, eventsource: openEventSource };

/** How long a silence may last where the server does not say how often it speaks, in milliseconds. */
const SILENCE = 40_000;

export class Link {
  transport;
  /** The cursor that the server was shown. */
  presented;
  /** The joined channels that it was asked for in the request. */
  channels;
  isOpen = false;
  #to;
  #limits;
  /** @type {Wire | undefined} */
  #wire;
  #openedAt = Infinity;
  #heardAt = Date.now();
  #isEnded = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {number | undefined} */
  #interval;

  /**
   * @param {TransportName} transport
   * @param {Request} request
   * @param {{ presented: string | undefined, channels: string[] }} place
   * @param {{ connectTimeout: number, stableAfter: number, silence: number | undefined }} limits in milliseconds
   * @param {Listener} to
   */
  constructor(transport, request, { presented, channels }, limits, to) {
    this.transport = transport;
    this.presented = presented;
    this.channels = channels;
    this.#limits = limits;
    this.#to = to;
    try {
      this.#wire = WIRES[transport](request, {
        alive: () => (this.#heardAt = Date.now()),
        frame: (frame) => this.#isEnded || this.#hear(frame),
        unknown: (frame) => this.#isEnded || to.unknown(this, frame),
        lost: ({ status, ...end }) => this.#end({ reason: status === undefined ? "lost" : "refused", status, ...end }),
      });
    } catch (error) {
      // Such as a token that no subprotocol can carry.
      queueMicrotask(() => this.#end({ reason: "lost", message: String(error) }));
    }
    this.#listen();
  }

  /** Whether it went on after its beginning. */
  get hasLasted() {
    return this.#heardAt - this.#openedAt >= this.#limits.stableAfter;
  }

  /** Whether messages go out by it. */
  get canSend() {
    return this.isOpen && this.#wire?.send !== undefined;
  }

  /** @param {object} message */
  send(message) {
    this.#wire?.send?.(message);
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
    this.#listen();
  }

  /** @param {Frame} frame */
  #hear(frame) {
    const { control } = frame;
    if (control === "closing") {
      const { reason, code, message, retry, reconnect } = /** @type {Notice} */ (frame);
      return this.#end({ reason, code, message, retry, reconnect });
    }
    if (control === "welcome" || control === "heartbeat") this.#interval = frame.interval ?? this.#interval;
    if (control !== "welcome" || this.isOpen) return this.#to.frame(this, frame);
    this.isOpen = true;
    this.#openedAt = Date.now();
    this.check();
    this.#to.opened(this, frame);
  }

  #listen() {
    const { connectTimeout, silence } = this.#limits;
    const usual = this.#interval === undefined ? SILENCE : 2 * this.#interval;
    const limit = this.isOpen ? (silence ?? usual) : connectTimeout;
    const since = Math.min(this.#heardAt, this.#to.waitingSince(this) ?? Infinity);
    const left = since + limit - Date.now();
    if (left <= 0) return this.#end({ reason: "silent", message: `nothing was heard for ${limit} ms` });
    this.#timer = setTimeout(() => this.#listen(), left);
  }

  /** @param {End} end */
  #end(end) {
    if (this.#isEnded) return;
    this.close();
    this.#to.lost(this, end);
  }
}
