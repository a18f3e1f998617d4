// A pane: one client of the channel, over one transport at a time, and the buttons that act on it.

import { Latencies } from "./latencies.mjs";
import { Ledger } from "./ledger.mjs";
import { PaneView } from "./pane-view.mjs";
import { Rate } from "./rate.mjs";
import { Scales } from "./scales.mjs";
import { ask, tell } from "./server.mjs";

/**
 * Who hears what a connection hears.
 *
 * @typedef {object} Listener
 * @property {(message: { id: string, event: string, data: any }) => void} message what the application published
 * @property {(notice: string, data: any) => void} notice what Dualcast says itself
 * @property {(how: { comesBack: boolean, isSilent?: boolean }) => void} lost the connection is gone
 */

/**
 * What a pane can't see to alone.
 *
 * @typedef {object} Surroundings
 * @property {import("./clock.mjs").Clock} clock
 * @property {import("./machine.mjs").Machine} machine
 * @property {number} holdSeconds for how long a pane stops reading
 */

/** Notices that a pane lists. */
const noteworthy = ["heartbeat", "gap", "open", "recovered"];

/** Without a connection there is nothing for these to act on. */
const needsConnection = ["cut", "hold", "trim", "heartbeats"];

export class Pane {
  /** @type {import("./services.mjs").Service} */
  #service;
  #surroundings;
  #view;
  /** What the server knows it by. */
  #name = randomName();
  #hasHeartbeats = true;
  /** Whether the server lets it have a WebSocket. */
  #hasUpgrades = true;
  /** @type {import("./services.mjs").Connection | undefined} */
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
   * @param {import("./services.mjs").Service} service what it begins with
   * @param {Surroundings} surroundings
   */
  constructor(letter, service, surroundings) {
    this.#service = service;
    this.#surroundings = surroundings;
    this.#view = new PaneView(letter);
    this.#view.listen(
      (action) => this.#act(action),
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
    const word = (has) => (has ? "on" : "off");
    const query = () =>
      new URLSearchParams({
        pane: this.#name,
        heartbeats: word(this.#hasHeartbeats),
        upgrades: word(this.#hasUpgrades),
      });
    this.#listener = this.#newListener();
    this.#connection = this.#service.connect(query, () => this.#ledger.cursor, this.#listener);
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
      lost: whileOurs(({ comesBack, isSilent }) => {
        this.#ledger.lose(this.#now(), { isSilent });
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
    if (notice === "welcome" || notice === "moved") this.#scales = new Scales(this.#scales.bytesEach);
    if (notice === "welcome") {
      this.#openedAt = now;
      this.#ledger.open(now, data);
    } else if (notice === "moved") {
      this.#ledger.move(now, data);
    } else if (notice === "recovered") {
      this.#ledger.recover(now, data);
    } else if (notice === "heartbeat" || notice === "gap") {
      this.#ledger[notice](now, data);
    }
    const event = data.why ? "open" : notice;
    if (noteworthy.includes(event)) this.#view.add({ id: data.id, event, data });
    if (data.why) this.#denyWebSocket().catch(ignore);
  }

  /** Closes the connection and opens another, at the same cursor. In between, `meanwhile` happens. */
  async #reopen(said, meanwhile = () => {}) {
    this.#listener = null;
    this.#connection?.close();
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
      this.#service = this.#service.other(this.#connection);
      const { name } = this.#service;
      return this.#reopen({ words: `switched to ${name} at the same cursor`, waiting: `on the way to ${name}` });
    },

    heartbeats: () => {
      this.#hasHeartbeats = !this.#hasHeartbeats;
      const how = this.#hasHeartbeats ? "with" : "without";
      return this.#reopen({ words: `reopened ${how} heartbeats`, waiting: `reopens ${how} heartbeats` });
    },

    upgrades: () => {
      this.#hasUpgrades = !this.#hasUpgrades;
      this.#label();
      return this.#denyWebSocket();
    },
  };

  /** Cuts the WebSocket of a pane that may have none. It may also have been on its way when that was said. */
  async #denyWebSocket() {
    if (!this.#hasUpgrades && this.isOpen && this.#connection.transport === "ws") await this.#actions.cut();
  }

  #isPossible(action) {
    return !this.#isBusy && (this.isOpen || !needsConnection.includes(action));
  }

  async #act(action) {
    // The button of what can't be done just now stays in reach of the keyboard, so it has to refuse by itself.
    if (!this.#isPossible(action)) return;
    this.#isBusy = true;
    this.#draw();
    try {
      await this.#actions[action]();
    } catch (error) {
      this.#view.answer(`That did not work: ${error.message}`, { isError: true });
    } finally {
      this.#isBusy = false;
      this.#draw();
    }
  }

  #label() {
    this.#view.label({
      service: this.#service,
      holdSeconds: this.#surroundings.holdSeconds,
      hasHeartbeats: this.#hasHeartbeats,
      hasUpgrades: this.#hasUpgrades,
    });
  }

  #draw() {
    this.#view.draw(this.#now(), {
      ledger: this.#ledger,
      rate: this.#rate,
      latencies: this.#latencies,
      bytesEach: this.#scales.bytesEach,
      transport: this.#connection?.transport,
      tells: this.#connection?.tells ?? "nothing yet",
      heard: this.#service.heard,
      isPossible: (action) => this.#isPossible(action),
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

function ignore() {}
