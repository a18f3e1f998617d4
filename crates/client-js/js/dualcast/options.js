// What `connect` takes, and what stands where nothing is said.

/** @typedef {import("./choice.js").TransportName} TransportName */
/** @typedef {import("./outbox.js").Policy} Policy */
/** @typedef {string | URL | { ws?: string | URL, sse?: string | URL, send?: string | URL }} Address */

/**
 * @template T
 * @typedef {T | Promise<T>} Eventually
 */

/**
 * @typedef {object} Options
 * @property {"auto" | TransportName | TransportName[]} [transport] which to use, the best first; `auto` is `["ws", "sse"]`
 * @property {string | undefined} [position] where the page's snapshot was read: what was published since follows
 * @property {boolean | string} [persist] keeps the cursors in `sessionStorage` over a reload; a string tells two clients of one URL apart
 * @property {(why: { refresh: boolean }) => Eventually<string | null | undefined>} [token] asked at each attempt; `refresh` where the
 *   last one was refused, or runs out
 * @property {() => Eventually<HeadersInit>} [headers] asked at each attempt and POST; a WebSocket has none
 * @property {() => Eventually<Record<string, string>>} [params] asked at each attempt, for the query: tickets, say
 * @property {RequestCredentials} [credentials] of `fetch`: `same-origin`
 * @property {Policy | Record<string, Policy>} [whileAway] what becomes of messages that are sent while there is no connection, of each
 *   event or of all: `reject`
 * @property {number} [maxUnsent] how many messages may wait for an answer, in all: 100
 * @property {number} [replyTimeout] how long a message may have no answer, in milliseconds, before the connection is
 *   taken for dead: 10,000
 * @property {number} [connectTimeout] how long a connection may take until its first word, in milliseconds: 10,000
 * @property {number} [silence] after how long a silence a connection is given up, in milliseconds: twice the server's heartbeat interval
 * @property {number} [minDelay] the most that is waited before the first attempt to come back, in milliseconds, where the server says nothing: 1,000
 * @property {number} [maxDelay] the most before any, in milliseconds: 30,000
 * @property {number} [stableAfter] how long a connection has to last before delays begin anew, in milliseconds: 5,000
 * @property {AbortSignal | undefined} [signal] closes it
 * @property {typeof fetch} [fetch] another implementation
 * @property {typeof WebSocket} [WebSocket] another implementation, such as that of `ws` in Node 20
 * @property {typeof EventSource} [EventSource] another implementation
 */

/** @param {Options} options */
export function withDefaults(options) {
  const { transport = "auto", ...rest } = options;
  // Who hands an option on that was not given means nothing by it.
  const given = /** @type {typeof rest} */ (Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)));
  const transports = transport === "auto" ? ["ws", "sse"] : [transport].flat();
  return {
    credentials: /** @type {RequestCredentials} */ ("same-origin"),
    maxUnsent: 100,
    replyTimeout: 10_000,
    connectTimeout: 10_000,
    minDelay: 1_000,
    maxDelay: 30_000,
    stableAfter: 5_000,
    fetch: globalThis.fetch,
    WebSocket: globalThis.WebSocket,
    EventSource: globalThis.EventSource,
    ...given,
    transports: /** @type {TransportName[]} */ (transports),
  };
}

/**
 * The URL of each way in. Of what isn't named, the first that is.
 *
 * @param {Address} address
 */
export function urlsOf(address) {
  const { ws, sse, send } = typeof address === "object" && !(address instanceof URL) ? address : { sse: address };
  /** @param {string | URL | undefined} url */
  const absolute = (url) => new URL(url ?? "", globalThis.location?.href).href;
  return { ws: absolute(ws ?? sse), sse: absolute(sse ?? ws), send: absolute(send ?? sse ?? ws) };
}

/** What becomes of this event's messages while there is no connection. @param {Options["whileAway"]} whileAway @param {string} event */
export function policyOf(whileAway, event) {
  if (typeof whileAway === "object") return Object.hasOwn(whileAway, event) ? whileAway[event] : "reject";
  return whileAway ?? "reject";
}
