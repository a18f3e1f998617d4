// By what right the client comes. The page says it for each attempt and each POST, since a right may have run out.

import { read } from "./answer.js";
import { LONGEST_TIMER } from "./environment.js";
import { LiveError } from "./error.js";

/**
 * @typedef {object} Right
 * @property {string | null | undefined} token
 * @property {Headers} headers
 * @property {Record<string, string>} query
 */
/** @typedef {ReturnType<typeof createRights>} Rights */

/** @param {import("./options.js").Options} options */
export function createRights({ token, headers, params }) {
  const rights = {
    /** Whether the last one was no good, or soon won't be. */
    areStale: false,

    /** Whether the page says anything, and so may say something better. */
    areAsked: Boolean(token ?? headers ?? params),

    /** @returns {Promise<Right>} */
    async ask() {
      const refresh = rights.areStale;
      const [right, own, query] = await Promise.all([token?.({ refresh }), headers?.(), params?.()]);
      rights.areStale = false;
      const all = new Headers(own);
      if (right) all.set("authorization", `Bearer ${right}`);
      return { token: right, headers: all, query: query ?? {} };
    },
  };
  return rights;
}

/**
 * Posts a message, and answers the data of the reply. After a 401 once more, with new rights.
 *
 * @param {string} url
 * @param {object} message
 * @param {{ fetch: typeof globalThis.fetch, credentials: RequestCredentials, replyTimeout: number }} options
 * @param {Rights} rights
 * @param {boolean} [isAgain]
 * @returns {Promise<any>}
 */
export async function post(url, message, options, rights, isAgain) {
  const { fetch, credentials, replyTimeout } = options;
  const signal = AbortSignal.timeout(Math.min(replyTimeout, LONGEST_TIMER));
  const late = new Promise((_, reject) => (signal.onabort = reject));
  const { headers } = await Promise.race([rights.ask(), late]).catch((error) => {
    throw new LiveError("away", String(error));
  });
  headers.set("content-type", "application/json");
  const answer = await fetch(url, { method: "POST", headers, credentials, signal, body: JSON.stringify(message) })
    .then(read)
    .catch((error) => {
      throw new LiveError("unconfirmed", String(error));
    });
  const { control, status, code = `http-${status}`, message: why, retry, data } = answer;
  if (control === "reply") return data;
  if (status !== 401 || isAgain || !rights.areAsked) throw new LiveError(code, why, { retry, status });
  rights.areStale = true;
  return post(url, message, options, rights, true);
}
