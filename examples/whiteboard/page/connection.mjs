// The page's connection to its board: the snapshot, then the log from there on, over whichever transport the user wants.
//
// A page that changes the transport, or its name, opens another client at the cursor of the old one: what the log tells comes once, whoever tells
// it. Where messages are missing the snapshot is read anew, and the log followed from its position.

import { connect } from "/dualcast.js";
import { createPresence } from "/dualcast/presence.js";
import { loadSnapshot } from "./snapshot.mjs";

/** How long a page waits for the word that it has all it missed, before it sends, in milliseconds. */
const patience = 3_000;

const firstDelay = 500;
const longestDelay = 15_000;

/** Events that nobody waits for: they are dropped where they can't be sent at once. */
const volatile = { cursor: "drop", draw: "drop", typing: "drop" };

/**
 * Who hears of it.
 *
 * @typedef {object} Listener
 * @property {(board: object) => void} snapshot the board as it is, from the start or after a gap
 * @property {(op: import("./board.mjs").Op) => void} op
 * @property {(event: string, data: any) => void} volatile
 * @property {(members: Map<string, any>, count: number) => void} people
 * @property {() => void} ready it is connected, and the page has heard what it missed
 * @property {() => void} lost there is no connection
 * @property {() => void} changed its figures have
 */

export class Connection {
  #address;
  #identity;
  #listener;
  #transport;
  /** @type {import("/dualcast.js").Live | undefined} */
  #live;
  /** Whose word counts: what a client still says that was left is of no interest. */
  #turn = 0;
  #position;
  #delay = firstDelay;
  #hasBeenOpen = false;
  #patience;
  #why;
  figures = { reconnects: 0, replayed: 0, gaps: 0, latency: undefined };

  /**
   * @param {string} address of the board
   * @param {() => import("./identity.mjs").Identity} identity
   * @param {string} transport
   * @param {Listener} listener
   */
  constructor(address, identity, transport, listener) {
    this.#address = address;
    this.#identity = identity;
    this.#transport = transport;
    this.#listener = listener;
  }

  /** What the user has chosen. */
  get transport() {
    return this.#transport;
  }

  /** How it stands. */
  get state() {
    return this.#live?.state ?? { status: "loading", transport: undefined, message: this.#why };
  }

  get cursor() {
    return this.#live?.cursor ?? this.#position;
  }

  /** Begins, from a snapshot. */
  async open() {
    const turn = ++this.#turn;
    this.#leave();
    for (;;) {
      try {
        const { position, board } = await loadSnapshot(this.#address);
        if (turn !== this.#turn) return;
        this.#why = undefined;
        this.#position = position;
        this.#listener.snapshot(board);
        return this.#connect();
      } catch (error) {
        if (turn !== this.#turn) return;
        this.#why = error.message;
        this.#listener.changed();
        await this.#wait();
        if (turn !== this.#turn) return;
      }
    }
  }

  /** Goes over to another transport, at the same place. @param {string} transport */
  switchTo(transport) {
    this.#transport = transport;
    this.rejoin();
  }

  /** Comes back at the same place, with what the user is called now; or asks at once for the board where there is none yet. */
  rejoin() {
    if (!this.#live) return this.open();
    this.#position = this.#live.cursor ?? this.#position;
    this.#turn += 1;
    this.#leave();
    this.#connect();
  }

  /** Sends a message that has to arrive. @param {string} key */
  send(event, data, key) {
    if (!this.#live) return Promise.reject(Object.assign(new Error("there is no connection"), { code: "away" }));
    return this.#live.send(event, data, { key, whileAway: "reject" });
  }

  /** Sends a message that is of now only. */
  tell(event, data) {
    this.#live?.send(event, data).catch(() => {});
  }

  took(milliseconds) {
    this.figures.latency = milliseconds;
    this.#listener.changed();
  }

  #connect() {
    const turn = this.#turn;
    const whileOurs = (act) => (...args) => {
      if (turn === this.#turn) act(...args);
    };
    const { key, name, color } = this.#identity();
    // In the address and not among the `params`, which no POST has: whatever is said bears the user's name.
    const live = connect(`${this.#address}/live?${new URLSearchParams({ name, color: `${color}` })}`, {
      transport: this.#transport,
      position: this.#position,
      token: () => key,
      whileAway: volatile,
      maxUnsent: 1_000,
    });
    this.#live = live;
    this.#hasBeenOpen = false;
    live.onMessage("op", whileOurs((op) => this.#listener.op(op)));
    for (const event of ["cursors", "draw", "typing"]) live.onMessage(event, whileOurs((data) => this.#listener.volatile(event, data)));
    const here = createPresence(live);
    here.on(whileOurs(() => this.#listener.people(here.members, here.count)));
    live.on("state", whileOurs((state) => this.#stateChanged(state)));
    live.on("recovered", whileOurs(({ count }) => this.#recovered(count)));
    live.on("gap", whileOurs(() => this.#gap()));
    this.#stateChanged(live.state);
  }

  #stateChanged({ status }) {
    if (status === "open") {
      if (this.#hasBeenOpen) this.figures.reconnects += 1;
      this.#hasBeenOpen = true;
      clearTimeout(this.#patience);
      this.#patience = setTimeout(() => this.#ready(), patience);
    } else {
      clearTimeout(this.#patience);
      this.#listener.lost();
    }
    this.#listener.changed();
  }

  #recovered(count) {
    this.figures.replayed += count;
    this.#delay = firstDelay;
    this.#ready();
    this.#listener.changed();
  }

  #ready() {
    clearTimeout(this.#patience);
    this.#listener.ready();
  }

  async #gap() {
    this.figures.gaps += 1;
    const turn = ++this.#turn;
    this.#leave();
    this.#listener.changed();
    // One gap after the other would be a fault of the server's; it is not asked ever faster.
    await this.#wait();
    if (turn === this.#turn) this.open();
  }

  #leave() {
    clearTimeout(this.#patience);
    if (!this.#live) return;
    this.#live.close();
    this.#live = undefined;
    this.#listener.lost();
  }

  #wait() {
    const delay = this.#delay * (0.5 + Math.random() / 2);
    this.#delay = Math.min(longestDelay, this.#delay * 2);
    return new Promise((resolve) => setTimeout(resolve, delay));
  }
}
