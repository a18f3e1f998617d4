// An event stream that notes who asks for it, and when, and that can be taken away: of a server that sends some bytes and no more,
// or of another, whose bytes are passed on.

import { once } from "node:events";
import { createServer, request } from "node:http";

/** Pages of any origin may hear it: one page can then hear several, each by connections of its own. */
const head = { "content-type": "text/event-stream", "access-control-allow-origin": "*" };

/** Where a page of the stream's own origin is. */
const pagePath = "/page";

/** A stream that begins with these bytes, and in which nothing follows. */
export async function startBareStream(bytes) {
  return WatchedStream.start((asked, asking, answer) => answer.writeHead(200, head).write(bytes));
}

/** The stream at this address, as it is. */
export async function startPassedStream(url) {
  return WatchedStream.start((asked, asking, answer) => {
    const headers = asked.lastEventId === undefined ? {} : { "last-event-id": asked.lastEventId };
    const upstream = request(url, { headers }, (response) => {
      answer.writeHead(response.statusCode, head);
      response.setEncoding("utf8").on("data", (text) => {
        asked.retry = Number(text.match(/^retry: (\d+)$/m)?.[1] ?? asked.retry);
        asked.id = text.match(/^id: (.+)$/m)?.[1] ?? asked.id;
        answer.write(text);
      });
    });
    // It ends when its client goes, which is all that there is to know.
    upstream.on("error", () => {});
    answer.once("close", () => upstream.destroy());
    upstream.end();
  });
}

class WatchedStream {
  /**
   * Each time it was asked for: `at` this moment of `performance.now()`, with this `lastEventId`. Of a stream that is passed on also what it has told: the
   * last `id`, and `retry`.
   */
  asked = [];
  #server;
  #port = 0;
  #answers = new Set();

  constructor(answer) {
    this.#server = createServer((asking, response) => {
      if (asking.url === pagePath) return response.end("A page.");
      const asked = { at: performance.now(), lastEventId: asking.headers["last-event-id"] };
      this.asked.push(asked);
      this.#answers.add(response);
      response.once("close", () => this.#answers.delete(response));
      answer(asked, asking, response);
    });
  }

  static async start(answer) {
    const stream = new WatchedStream(answer);
    await stream.comeBack();
    return stream;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}/stream`;
  }

  get page() {
    return new URL(pagePath, this.url).href;
  }

  /** Resets every connection. Answers when that was. */
  cut() {
    for (const { socket } of this.#answers) socket.resetAndDestroy();
    return performance.now();
  }

  /** Ends every response in good order. Answers when that was. */
  end() {
    for (const answer of this.#answers) answer.end();
    return performance.now();
  }

  /** Nobody listens there any more. */
  async goAway() {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    this.#server.closeAllConnections();
    await closed;
  }

  /** It listens again, where it did. */
  async comeBack() {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = this.#server.address().port;
  }

  async close() {
    if (this.#server.listening) await this.goAway();
  }
}
