// What fails, with a code for programs: one of the server's, or one of the client's own.
//
//     away           there is no connection just now, and the message was not to wait
//     queue-full     `maxUnsent` messages have no answer yet
//     unconfirmed    no answer came: the message may have been handled
//     closed         the client is closed, or the channel was left
//     no-subscribe   the event stream does not follow the channel that was asked for
//     revoked        the right to the channel was taken back
//     finished       the channel is finished
//     too-slow       an iteration fell `MAX_ITEMS` behind
//     http-500       an answer that is not Dualcast's, with that status

/** What is waited before another try where the server does not say, in milliseconds. */
export const USUAL_RETRY = 1_000;

/** Codes after which the very same is worth another try. */
export const PASSING = ["too-fast", "busy", "unavailable", "unconfirmed", "away", "http-429", "http-502", "http-503", "http-504"];

export class LiveError extends Error {
  /**
   * @param {string} code
   * @param {string} [message] for people
   * @param {{ retry?: number, status?: number }} [more]
   */
  constructor(code, message, { retry, status } = {}) {
    super(message ? `${message} (${code})` : code);
    this.name = "LiveError";
    /** For programs. */
    this.code = code;
    /** After how many milliseconds it is worth another try, where the server says so. */
    this.retry = retry;
    /** The status of an HTTP answer. */
    this.status = status;
  }
}
