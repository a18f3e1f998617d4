// A viewer's connection: the browser's own EventSource, and nothing else. It comes back by itself, with the last id that it saw, as the HTML standard
// says; what it can't know is that messages are missing, which Dualcast tells in an event, and that a connection is dead of which no end has come:
// heartbeats are for that.

import { loadSnapshot } from "./snapshot.mjs";

/** Before a stream that was refused is asked for anew, with a new snapshot, in milliseconds. */
const firstDelay = 1_000;
const longestDelay = 30_000;

/** How long nothing may come, in milliseconds: the server says something every 15 seconds. */
const silence = 40_000;

/** The same of one that is being opened. It may go by a connection that the browser had kept, and that died with the last: then the next one tries another. */
const openingSilence = 10_000;

export class Stream {
  #address;
  #listener;
  /** @type {EventSource | undefined} */
  #source;
  #position;
  #delay = firstDelay;
  #watch;
  #presence = new Presence();
  /** @type {"loading" | "open" | "away"} */
  status = "loading";

  /**
   * @param {string} address of the board
   * @param {object} listener
   * @param {(board: object) => void} listener.snapshot
   * @param {(op: import("./board.mjs").Op) => void} listener.op
   * @param {(event: string, data: any) => void} listener.volatile
   * @param {(members: Map<string, any>, count: number) => void} listener.people
   * @param {() => void} listener.changed
   */
  constructor(address, listener) {
    this.#address = address;
    this.#listener = listener;
  }

  async open() {
    this.#source?.close();
    try {
      const { position, board } = await loadSnapshot(this.#address);
      this.#listener.snapshot(board);
      this.#follow(position);
    } catch {
      this.#again();
    }
  }

  #follow(position) {
    const source = new EventSource(`${this.#address}/stream?${new URLSearchParams({ "last-event-id": position })}`);
    this.#source = source;
    this.#position = position;
    this.#presence.begin();
    this.#listen(openingSilence);
    const on = (event, act) =>
      source.addEventListener(event, ({ data, lastEventId }) => {
        if (source !== this.#source) return;
        this.#listen();
        this.#position = lastEventId || this.#position;
        act(JSON.parse(data));
      });
    source.onopen = () => {
      this.#listen();
      this.#delay = firstDelay;
      this.#become("open");
    };
    source.onerror = () => {
      if (source !== this.#source) return;
      // One that was refused does not come back.
      if (source.readyState === EventSource.CLOSED) this.#again();
      else this.#become("away");
    };
    on("op", (op) => this.#listener.op(op));
    for (const event of ["cursors", "draw", "typing"]) on(event, (data) => this.#listener.volatile(event, data));
    source.addEventListener("open", () => this.#presence.begin());
    on("dualcast:presence", (notice) => {
      if (!this.#presence.take(notice)) return this.#anew();
      this.#listener.people(this.#presence.members, this.#presence.count);
    });
    on("dualcast:heartbeat", ({ presence = {} }) => {
      if (!this.#presence.isAt(Object.values(presence)[0])) this.#anew();
    });
    on("dualcast:gap", () => this.#again());
    on("dualcast:closing", ({ reconnect }) => {
      if (!reconnect) this.#again();
    });
  }

  /** Another connection, at the same place: on it is told the whole of who is there. */
  #anew() {
    this.#source.close();
    this.#follow(this.#position);
  }

  /** Another connection where nothing comes on this one from now on. */
  #listen(limit = silence) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      this.#become("away");
      this.#anew();
    }, limit);
  }

  #again() {
    clearTimeout(this.#watch);
    this.#source?.close();
    this.#source = undefined;
    this.#become("away");
    const delay = this.#delay * (0.5 + Math.random() / 2);
    this.#delay = Math.min(longestDelay, this.#delay * 2);
    setTimeout(() => this.open(), delay);
  }

  #become(status) {
    this.status = status;
    this.#listener.changed();
  }
}

/** Who is there, as the notices tell it: whole, and then by what changed. Versions are of one connection. */
export class Presence {
  #version;
  members = new Map();
  count = 0;

  /** Another connection: the whole comes first. What was known stands until then. */
  begin() {
    this.#version = undefined;
  }

  /** Whether it is what the server has told, as a heartbeat says. @param {number | undefined} version */
  isAt(version) {
    return version === undefined || this.#version === undefined || version === this.#version;
  }

  /** Answers false where a change is missing. @param {any} notice */
  take({ version, since, count, members, joined = [], left = [] }) {
    if (members) this.members = new Map(members.map(({ id, data }) => [id, data]));
    else if (since !== this.#version) return false;
    for (const id of left) this.members.delete(id);
    for (const { id, data } of joined) this.members.set(id, data);
    this.#version = version;
    this.count = count;
    return true;
  }
}
