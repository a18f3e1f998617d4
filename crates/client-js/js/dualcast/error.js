// What fails, with a code for programs: one of the server's, or one of the client's own.
//
//     away          there is no connection just now, and the message was not to wait
//     queue-full    `maxUnsent` messages wait already
//     unconfirmed   no answer came: it may have been handled
//     closed        the client was closed before an answer came
//     too-slow      an iteration fell more than `MAX_ITEMS` behind
//     http-500      an answer that is not Dualcast's, with that status

export class LiveError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ retry?: number, status?: number }} [more]
   */
  constructor(code, message, { retry, status } = {}) {
    super(`${message} (${code})`);
    this.name = "LiveError";
    /** For programs. */
    this.code = code;
    /** After how many milliseconds it is worth another try, where the server says so. */
    this.retry = retry;
    /** The status of an HTTP answer. */
    this.status = status;
  }
}
