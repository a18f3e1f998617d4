// By what right the client comes. The page says it for each attempt and each POST, since a right may have run out.

import { LONGEST_TIMER } from "./environment.js";
import { LiveError } from "./error.js";

/** @typedef {{ token: string | null | undefined, headers: Headers, query: Record<string, string> }} Right */

/** As much of an answer that is not Dualcast's as is worth telling, in characters. */
const LONGEST_ERROR = 200;

export class Rights {
  /** Whether the last token was no good, or soon won't be. */
  areStale = false;
  #options;

  /** @param {import("./options.js").Options} options */
  constructor(options) {
    this.#options = options;
  }

  /** Whether the page says anything, and so may say something better. */
  get areAsked() {
    const { token, headers, params } = this.#options;
    return Boolean(token ?? headers ?? params);
  }

  /** @returns {Promise<Right>} */
  async ask() {
    const { token, headers, params } = this.#options;
    const refresh = this.areStale;
    const [right, own, query] = await Promise.all([token?.({ refresh }), headers?.(), params?.()]);
    this.areStale = false;
    const all = new Headers(own);
    if (right) all.set("authorization", `Bearer ${right}`);
    return { token: right, headers: all, query: query ?? {} };
  }
}

/**
 * Posts a message, and answers the data of the reply. After a 401 once more, with new rights.
 *
 * @param {string} url
 * @param {object} message
 * @param {{ fetch: typeof globalThis.fetch, credentials: RequestCredentials, replyTimeout: number }} options
 * @param {Rights} rights
 */
export async function post(url, message, { fetch, credentials, replyTimeout }, rights) {
  const body = JSON.stringify(message);
  for (let attempt = 1; ; attempt++) {
    const signal = AbortSignal.timeout(Math.min(replyTimeout, LONGEST_TIMER));
    const late = new Promise((_, reject) => (signal.onabort = reject));
    const { headers } = await Promise.race([rights.ask(), late]).catch((error) => {
      throw new LiveError("away", String(error));
    });
    headers.set("content-type", "application/json");
    const answer = await fetch(url, { method: "POST", headers, credentials, signal, body })
      .then(read)
      .catch((error) => {
        throw new LiveError("unconfirmed", String(error));
      });
    const { control, status, code = `http-${status}`, message: why, retry, data } = answer;
    if (control === "reply") return data;
    if (status !== 401 || attempt > 1 || !rights.areAsked) throw new LiveError(code, why, { retry, status });
    rights.areStale = true;
  }
}

/** An answer of Dualcast's, or what there is in its place. @param {Response} response */
async function read(response) {
  const { status } = response;
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    // A proxy's, say.
  }
  return { ...(answer?.control ? answer : { message: text.slice(0, LONGEST_ERROR) }), status };
}
