// A connection by Dualcast's client. It comes back by itself, with its cursor, over the transport that works, and says what became of it.

import { connect } from "/dualcast.js";
import { Unanswered } from "./unanswered.mjs";
import { seconds, transportNames } from "./words.mjs";

/** After how long a transport has proved to work, in milliseconds: sooner than by default, since somebody is watching. */
const stableAfter = 2_000;

/** With these it is not known what became of a note. */
const unanswered = ["unconfirmed", "closed"];

export class DualcastClient {
  #live;
  #listener;
  #isByHand;
  #isOpen = false;
  /** Why it has the transport that it has. */
  #why;
  /** What it tried since it was open last. */
  #tried = new Set();
  /** Over which it was open last. */
  #last;

  /**
   * @param {"auto" | "ws" | "sse"} transport
   * @param {() => URLSearchParams} query which pane it is, and how it wants to be served
   * @param {() => string | null} cursor where to go on
   * @param {import("./pane.mjs").Listener} listener
   */
  constructor(transport, query, cursor, listener) {
    this.#isByHand = transport !== "auto";
    this.#listener = listener;
    this.#live = connect("/live", {
      transport,
      position: cursor() ?? undefined,
      // Asked at each attempt.
      params: () => Object.fromEntries(query()),
      // With a key of its own, so that what is sent again acts once.
      whileAway: "queue",
      stableAfter,
    });
    this.#change(this.#live.state);
    this.#live.on("state", (state) => this.#change(state));
    this.#live.on("*", (message) => listener.message(message));
    this.#live.on("gap", (gap) => this.#notice("gap", gap));
    this.#live.on("recovered", (recovery) => this.#notice("recovered", recovery));
  }

  /** The transport that it has, or tries. */
  get transport() {
    return this.#live.state.transport;
  }

  /** How it stands, in its own words. */
  get tells() {
    return `${this.#status()}; unsent: ${this.#live.unsent}`;
  }

  /** Sends a note over the transport that it has, or once it has one. Answers its id. */
  async send(text) {
    try {
      const { id } = await this.#live.send("note", text);
      return id;
    } catch (error) {
      throw unanswered.includes(error.code) ? new Unanswered(error.message) : error;
    }
  }

  close() {
    this.#live.close();
  }

  #change({ status, transport, reason }) {
    if (status === "connecting") this.#tried.add(transport);
    if (status === "open") return this.#open(transport);
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#listener.lost({ comesBack: status !== "closed", isSilent: reason === "silent" });
  }

  #open(transport) {
    const name = transportNames[transport];
    const hasMoved = this.#isOpen;
    this.#why = hasMoved ? "which works again" : this.#reason(transport);
    if (hasMoved) this.#notice("moved", { words: `over ${name} now, without an interruption`, why: this.#why });
    // It hears the heartbeats, and minds the silence.
    else this.#notice("welcome", { over: transport === this.#last ? undefined : name, why: this.#why });
    this.#isOpen = true;
    this.#last = transport;
    this.#tried.clear();
  }

  #reason(transport) {
    if (this.#isByHand) return "as chosen by hand";
    if (transport === "ws") return "the best that works here";
    return this.#tried.has("ws") ? "since WebSocket did not come about" : "which worked last";
  }

  #status() {
    const { status, transport, retryAt, reason } = this.#live.state;
    const over = `over ${transportNames[transport]}`;
    switch (status) {
      case "open":
        return `open ${over}, ${this.#why}`;
      case "waiting":
        return `waiting (${reason}): the next attempt comes in ${seconds(retryAt - Date.now())}`;
      case "away":
        return "away: this page is hidden, or its machine offline";
      case "closed":
        return `closed (${reason})`;
      default:
        return `connecting ${over}`;
    }
  }

  #notice(notice, data) {
    this.#listener.notice(notice, { ...data, transport: this.transport, id: this.#live.cursor });
  }
}
