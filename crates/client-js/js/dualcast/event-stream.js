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

/** @param {EventStreamListener} listener */
export function createEventStreamParser(listener) {
  /** Takes off one byte order mark at the start; what is no UTF-8 becomes U+FFFD. */
  const decoder = new TextDecoder();
  /** What has come of a line that has not ended. */
  let rest = "";
  /** An LF that comes next belongs to the line end that is told already. */
  let isAfterCr = false;

  /** Those of the block that has not ended. @type {Record<string, string | undefined>} */
  let fields = {};

  /** @param {string} line */
  function take(line) {
    if (line === "") return dispatch();
    const colon = line.indexOf(":");
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    const name = colon < 0 ? line : line.slice(0, colon);
    switch (name) {
      case "":
        listener.comment?.(value);
        break;
      case "retry":
        if (/^\d+$/.test(value)) listener.retry?.(Number(value));
        break;
      case "data":
        fields.data = fields.data === undefined ? value : `${fields.data}\n${value}`;
        break;
      default:
        if (name !== "id" || !value.includes("\0")) fields[name] = value;
    }
  }

  /** The block is over before the listener hears of it, who may throw. */
  function dispatch() {
    const { event, data, id, type } = fields;
    fields = {};
    parser.lastEventId = id ?? parser.lastEventId;
    // The standard gives out no event without data; that of one empty line is data.
    if (data !== undefined) listener.event({ event: event || "message", data, id, type });
  }

  const parser = {
    /** The last event ID, which a block of `id:` alone moves, too. A block that has not ended does not. */
    lastEventId: "",

    /**
     * Takes the next bytes of the stream, and tells what they complete. Not to be called by a listener. What a listener throws is thrown when
     * all is told, the first of it.
     *
     * @param {Uint8Array} bytes
     */
    push(bytes) {
      let text = decoder.decode(bytes, { stream: true });
      if (!text) return;
      if (isAfterCr && text[0] === "\n") text = text.slice(1);
      isAfterCr = text.endsWith("\r");

      // Most streams have no CR, and of all ways to cut a string this is the fastest.
      const lines = text.split(text.includes("\r") ? /\r\n?|\n/ : "\n");
      lines[0] = rest + lines[0];
      rest = /** @type {string} */ (lines.pop());

      let failed;
      for (const line of lines) {
        try {
          take(line);
        } catch (error) {
          failed ??= { error };
        }
      }
      if (failed) throw failed.error;
    },
  };
  return parser;
}
