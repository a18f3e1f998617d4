// How many bytes a message takes on the wire: all that came down a connection, head and framing included, by the messages in it.
// What comes while there are no messages, heartbeats, is not laid on them.

export class Scales {
  /** As on the connection before, until there is something to weigh. */
  bytesEach;
  #messages = 0;
  #bytes = 0;
  #weighed = { messages: 0, bytes: 0 };

  constructor(bytesEach = null) {
    this.bytesEach = bytesEach;
  }

  /** A message has come. */
  add() {
    this.#messages++;
  }

  /** So many bytes have come since the connection was opened. */
  weigh(bytes) {
    // Of another connection, that is about to take over.
    if (bytes < this.#weighed.bytes) return;
    if (this.#messages > this.#weighed.messages) this.#bytes += bytes - this.#weighed.bytes;
    this.#weighed = { messages: this.#messages, bytes };
    if (this.#messages > 0) this.bytesEach = this.#bytes / this.#messages;
  }
}
