// A connection by the browser's own EventSource. It comes back by itself, with the last id it saw.

import { tell } from "./server.mjs";

/** What it says of itself, in numbers: its `readyState`. */
const states = ["CONNECTING", "OPEN", "CLOSED"];

/** The channel's events. An EventSource is deaf to names that nobody listens to. */
const events = ["machine", "note", "burst"];

const notices = ["gap", "merged", "finished", "closing"];

export class ServerSentEvents {
  #source;
  #isOpen = false;
  transport = "sse";

  /**
   * @param {() => URLSearchParams} query which pane it is, and how it wants to be served
   * @param {() => string | null} cursor where to go on
   * @param {import("./pane.mjs").Listener} listener
   */
  constructor(query, cursor, listener) {
    const first = query();
    // The browser's own header, when it comes back, goes before this.
    if (cursor()) first.set("last-event-id", cursor());
    this.#source = new EventSource(`/live?${first}`);
    for (const event of events) {
      this.#source.addEventListener(event, ({ lastEventId: id, data }) =>
        listener.message({ id, event, data: JSON.parse(data) }),
      );
    }
    for (const notice of notices) {
      this.#source.addEventListener(`dualcast:${notice}`, ({ lastEventId: id, data }) =>
        listener.notice(notice, { ...JSON.parse(data), id }),
      );
    }
    this.#source.addEventListener("dualcast:heartbeat", ({ lastEventId: id, data }) => {
      // The first one of a connection is its welcome.
      const notice = this.#isOpen ? "heartbeat" : "welcome";
      this.#isOpen = true;
      listener.notice(notice, { ...JSON.parse(data), id });
    });
    this.#source.addEventListener("error", () => {
      this.#isOpen = false;
      listener.lost({ comesBack: this.#source.readyState !== EventSource.CLOSED });
    });
  }

  get tells() {
    return states[this.#source.readyState];
  }

  /** Sends a note by POST, since an event stream goes one way. Answers its id. */
  async send(text) {
    const { data } = await tell("/live", { event: "note", data: text });
    return data.id;
  }

  close() {
    this.#source.close();
  }
}
