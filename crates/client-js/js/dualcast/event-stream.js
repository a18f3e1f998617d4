// The event stream format of the HTML standard (section 9.2.6, "Interpreting an event stream"), in chunks as they come.
//
// The bytes may be cut anywhere: within a letter, between CR and LF, behind the first byte of a byte order mark. What is given out
// is the same, and each event as soon as its empty line is there, also where that ends in a CR whose LF may still follow. A line that
// has not ended is kept as the engine's rope of its pieces, so that a large one in small chunks is searched and copied once.

/**
 * An event, as one block of the stream has it.
 *
 * @typedef {object} Block
 * @property {string} event its name: "message" where the block has none
 * @property {string} data its lines, joined by LF
 * @property {string | undefined} id the id, where this very block has one; "" takes back the last event ID
 * @property {string | undefined} type the field `type`, unknown to the standard: "json" says that the data is JSON
 */

/**
 * What is told of a stream. One that throws keeps nothing from the next: `push` goes on to the end of the bytes, and throws then.
 *
 * @typedef {object} EventStreamListener
 * @property {(block: Block) => void} event
 * @property {(ms: number) => void} [retry] the stream's reconnection time, in milliseconds; the standard sets it no limit
 * @property {(text: string) => void} [comment] a line that begins with a colon, which is a sign of life
 */

export class EventStreamParser {
  /** The last event ID, which a block of `id:` alone moves, too. A block that has not ended does not. */
  lastEventId = "";

  /** @type {EventStreamListener} */
  #listener;
  /** Takes off one byte order mark at the start; what is no UTF-8 becomes U+FFFD. */
  #decoder = new TextDecoder();
  /** What has come of a line that has not ended. */
  #line = "";
  /** An LF that comes next belongs to the line end that is told already. */
  #isAfterCr = false;

  // The block that has not ended.
  #event = "";
  /** @type {string | undefined} */
  #data;
  /** @type {string | undefined} */
  #id;
  /** @type {string | undefined} */
  #type;

  /** @param {EventStreamListener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /**
   * Takes the next bytes of the stream, and tells what they complete. Not to be called by a listener.
   *
   * @param {Uint8Array} bytes
   * @throws what a listener threw first, when all is told
   */
  push(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (!text) return;
    if (this.#isAfterCr && text[0] === "\n") text = text.slice(1);
    this.#isAfterCr = text.endsWith("\r");

    // Most streams have no CR, and of all ways to cut a string this is the fastest.
    const lines = text.split(text.includes("\r") ? /\r\n?|\n/ : "\n");
    lines[0] = this.#line + lines[0];
    this.#line = /** @type {string} */ (lines.pop());

    let failed;
    for (const line of lines) {
      try {
        this.#take(line);
      } catch (error) {
        failed ??= { error };
      }
    }
    if (failed) throw failed.error;
  }

  /** @param {string} line */
  #take(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    switch (colon < 0 ? line : line.slice(0, colon)) {
      case "":
        this.#listener.comment?.(value);
        break;
      case "data":
        this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
        break;
      case "event":
        this.#event = value;
        break;
      case "id":
        if (!value.includes("\0")) this.#id = value;
        break;
      case "type":
        this.#type = value;
        break;
      case "retry":
        if (/^\d+$/.test(value)) this.#listener.retry?.(Number(value));
    }
  }

  /** The block is over before the listener hears of it, who may throw. */
  #dispatch() {
    const data = this.#data;
    const block = { event: this.#event || "message", data: data ?? "", id: this.#id, type: this.#type };
    this.#event = "";
    this.#data = this.#id = this.#type = undefined;
    if (block.id !== undefined) this.lastEventId = block.id;
    // The standard gives out no event without data; that of one empty line is data.
    if (data !== undefined) this.#listener.event(block);
  }
}
