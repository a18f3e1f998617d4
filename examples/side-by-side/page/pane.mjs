// A pane: one client of the channel, over one transport at a time, and the buttons that act on it.

import { Latencies } from "./latencies.mjs";
import { Ledger } from "./ledger.mjs";
import { PaneView } from "./pane-view.mjs";
import { Rate } from "./rate.mjs";
import { Scales } from "./scales.mjs";
import { ask, tell } from "./server.mjs";
import { ServerSentEvents } from "./server-sent-events.mjs";
import { WebSocketMessages } from "./web-socket.mjs";

/**
 * Who hears what a connection hears.
 *
 * @typedef {object} Listener
 * @property {(message: { id: string, event: string, data: any }) => void} message what the application published
 * @property {(notice: string, data: any) => void} notice what Dualcast says itself
 * @property {(how: { comesBack: boolean }) => void} lost the connection is gone
 */

/**
 * What a pane can't see to alone.
 *
 * @typedef {object} Surroundings
 * @property {import("./clock.mjs").Clock} clock
 * @property {import("./machine.mjs").Machine} machine
 * @property {number} holdSeconds for how long a pane stops reading
 */

const transports = {
  sse: { title: "Server-Sent Events", way: "A note, sent by POST", Connection: ServerSentEvents },
  ws: { title: "WebSocket", way: "A note, sent by WebSocket message", Connection: WebSocketMessages },
};

export class Pane {
  #transport;
  #surroundings;
  #view;
  /** What the server knows it by. */
  #name = randomName();
  #hasHeartbeats = true;
  #connection;
  /** Who hears it: what a connection still says that was left is of no interest. */
  #listener;
  #openedAt = 0;
  #scales = new Scales();
  #ledger = new Ledger();
  #latencies = new Latencies();
  #rate = new Rate();
  /** Whether a button's work is under way. */
  #isBusy = false;

  /**
   * @param {string} letter what people call it
   * @param {"sse" | "ws"} transport what it begins with
   * @param {Surroundings} surroundings
   */
  constructor(letter, transport, surroundings) {
    this.#transport = transport;
    this.#surroundings = surroundings;
    this.#view = new PaneView(letter);
    this.#view.listen(
      (action) => this.#act(this.#actions[action]),
      (text) => this.#send(text),
    );
    this.#label();
  }

  get element() {
    return this.#view.element;
  }

  get isOpen() {
    return this.#ledger.isOpen;
  }

  /** Opens a connection, from its cursor on where it has one. */
  open() {
    const { Connection } = transports[this.#transport];
    const query = new URLSearchParams({ pane: this.#name, heartbeats: this.#hasHeartbeats ? "on" : "off" });
    this.#listener = this.#newListener();
    this.#connection = new Connection(query, () => this.#ledger.cursor, this.#listener);
  }

  /** To be called ten times a second. The page changes then, and not with each of a thousand messages. */
  tick() {
    this.#ledger.tick(this.#now());
    this.#draw();
  }

  /** Asks how many bytes have come over the connection. To be called about once a second. */
  async weigh() {
    if (!this.isOpen) return;
    const scales = this.#scales;
    const { bytes } = await ask(`/wires/${this.#name}`);
    if (bytes !== null) scales.weigh(bytes);
  }

  async #send(text) {
    if (!this.#connection) throw new Error("there is no connection yet");
    return this.#connection.send(text);
  }

  /** @returns {Listener} */
  #newListener() {
    const whileOurs = (act) => (...args) => {
      if (listener === this.#listener) act(...args);
    };
    const listener = {
      message: whileOurs((message) => this.#hear(message)),
      notice: whileOurs((notice, data) => this.#hearNotice(notice, data)),
      lost: whileOurs(({ comesBack }) => {
        this.#ledger.lose(this.#now());
        // Answered with anything but an event stream, an EventSource gives up. It is us who come back then.
        if (!comesBack) setTimeout(whileOurs(() => this.open()), 2_000);
      }),
    };
    return listener;
  }

  #hear(message) {
    this.#surroundings.clock.advanceTo(message.data.at);
    const now = this.#now();
    this.#scales.add();
    this.#ledger.message(now, message);
    this.#rate.add(now);
    // How long somebody was away is no latency.
    if (message.data.at >= this.#openedAt) this.#latencies.add(now, now - message.data.at);
    this.#view.add(message);
    if (message.event === "machine") this.#surroundings.machine.show(message.data);
  }

  #hearNotice(notice, data) {
    const now = this.#now();
    if (notice === "welcome") {
      this.#scales = new Scales(this.#scales.bytesEach);
      this.#openedAt = now;
      this.#ledger.open(now, data);
    } else if (notice === "heartbeat" || notice === "gap") {
      this.#ledger[notice](now, data);
      this.#view.add({ id: data.id, event: notice, data });
    }
  }

  /** Closes the connection and opens another, at the same cursor. In between, `meanwhile` happens. */
  async #reopen(said, meanwhile = () => {}) {
    this.#listener = null;
    this.#connection.close();
    this.#ledger.leave(this.#now(), said);
    this.#draw();
    try {
      await meanwhile();
    } finally {
      this.#label();
      this.open();
    }
  }

  #actions = {
    cut: () => tell(`/wires/${this.#name}/cut`),

    hold: async () => {
      const { holdSeconds } = this.#surroundings;
      const askedAt = this.#now();
      await tell(`/wires/${this.#name}/hold?seconds=${holdSeconds}`);
      if (this.isOpen) this.#ledger.hold(askedAt, this.#now(), holdSeconds);
    },

    trim: () => {
      const said = {
        words: "came back with its cursor",
        waiting: "away, while 40 messages are published and trimmed",
      };
      return this.#reopen(said, async () => {
        await tell("/burst?count=40");
        await tell("/trim");
      });
    },

    switch: () => {
      this.#transport = this.#transport === "sse" ? "ws" : "sse";
      const { title } = transports[this.#transport];
      return this.#reopen({ words: `switched to ${title} at the same cursor`, waiting: `on the way to ${title}` });
    },

    heartbeats: () => {
      this.#hasHeartbeats = !this.#hasHeartbeats;
      const how = this.#hasHeartbeats ? "with" : "without";
      return this.#reopen({ words: `reopened ${how} heartbeats`, waiting: `reopens ${how} heartbeats` });
    },
  };

  async #act(action) {
    // The button of what can't be done just now stays in reach of the keyboard, so it has to refuse by itself.
    if (this.#isBusy || !this.isOpen) return;
    this.#isBusy = true;
    this.#draw();
    try {
      await action();
    } catch (error) {
      this.#view.answer(`That did not work: ${error.message}`, { isError: true });
    } finally {
      this.#isBusy = false;
      this.#draw();
    }
  }

  #label() {
    const { title, way } = transports[this.#transport];
    this.#view.label({
      transport: this.#transport,
      title,
      way,
      holdSeconds: this.#surroundings.holdSeconds,
      hasHeartbeats: this.#hasHeartbeats,
    });
  }

  #draw() {
    this.#view.draw(this.#now(), {
      ledger: this.#ledger,
      rate: this.#rate,
      latencies: this.#latencies,
      bytesEach: this.#scales.bytesEach,
      isBusy: this.#isBusy,
    });
  }

  #now() {
    return this.#surroundings.clock.now();
  }
}

/** `crypto.randomUUID` is for secure contexts only, and this page may be looked at over plain HTTP from a phone. */
function randomName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
