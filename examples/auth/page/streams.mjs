// One room, heard by either transport, with whatever the user logged in by. A stream comes back by itself, with its cursor, until it
// is told to stay away or the server doesn't know the user any more.

const prefix = "dualcast:";

/** How long to wait before coming back, until the server says it, in milliseconds. */
const firstRetry = 1_000;

/**
 * @typedef {object} Listener
 * @property {(message: { id?: string, event: string, data: any }) => void} message
 * @property {(name: string, notice: object) => void} notice what Dualcast says itself
 * @property {(state: string, isOver: boolean) => void} state
 */

export class Stream {
  #server;
  #transport;
  #room;
  #path;
  #listener;
  #cursor;
  #connection;
  #retry = firstRetry;
  #waiting;
  #renewal;
  #isOver = false;
  #mayComeBack = true;

  /** @param {Listener} listener */
  constructor(server, transport, room, listener) {
    this.#server = server;
    this.#transport = transport;
    this.#room = room;
    this.#path = `/rooms/${room}/${transport}`;
    this.#listener = listener;
    this.#open();
  }

  close(why = "Left.") {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#waiting);
    clearTimeout(this.#renewal);
    this.#connection?.close();
    this.#listener.state(why, true);
  }

  async #open() {
    try {
      // An EventSource and a WebSocket don't say why they were refused. So ask for what does.
      const { rooms } = await this.#server.me();
      if (!rooms.includes(`room.${this.#room}`)) return this.close(`Refused: you are not a member of ${this.#room}.`);
      const opening = await this.#server.opening(this.#path, this.#cursor);
      if (this.#isOver) return;
      this.#mayComeBack = true;
      const { EventSource, ReadStream, WebSocket } = kinds;
      const Kind = this.#transport === "ws" ? WebSocket : opening.token ? ReadStream : EventSource;
      this.#connection = new Kind(opening, (...heard) => this.#hear(...heard), () => this.#lose());
    } catch (error) {
      if (error.status === 401 || error.status === 403) this.close(`Refused: ${error.message}`);
      else this.#lose();
    }
  }

  #hear(name, { id, ...rest }) {
    if (id) this.#cursor = id;
    if (!name) return this.#listener.message({ id, ...rest });
    if (name === "welcome" || name === "heartbeat" || name === "reply") this.#mind(rest.expires ?? rest.data?.expires);
    if (name === "welcome") this.#listener.state("Connected.", false);
    if (name === "welcome" && rest.retry) this.#retry = rest.retry;
    if (name === "closing") this.#mayComeBack = rest.reconnect;
    this.#listener.notice(name, { id, ...rest });
    if (name === "closing" && !rest.reconnect) this.close(`Ended: ${rest.message} (${rest.reason})`);
  }

  #lose() {
    this.#connection?.close();
    if (this.#isOver) return;
    if (!this.#mayComeBack) return this.close("Ended.");
    this.#listener.state("Lost, coming back.", false);
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => this.#open(), this.#retry * (0.5 + Math.random()));
  }

  /** A WebSocket's time is put off on the live connection, when a fifth of it is left. An event stream ends, and comes back. */
  #mind(expires) {
    if (expires === undefined || !this.#connection?.renew) return;
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(async () => {
      // Where that fails the session ends with its time, and coming back says why.
      const token = await this.#server.newToken().catch(() => undefined);
      if (token && !this.#isOver) this.#connection.renew(token);
    }, expires * 0.8);
  }
}

const kinds = {
  /** The browser's own: sends cookies, and no header. It would come back by itself; but with a ticket that is used up. */
  EventSource: class {
    #source;

    constructor({ address }, hear, lose) {
      this.#source = new EventSource(address);
      let isOpen = false;
      this.#source.addEventListener("note", ({ lastEventId, data }) => hear("", { id: lastEventId, event: "note", data: JSON.parse(data) }));
      for (const name of ["heartbeat", "gap", "merged", "finished", "closing"]) {
        this.#source.addEventListener(prefix + name, ({ lastEventId, data }) => {
          // The first is the opening.
          hear(name === "heartbeat" && !isOpen ? "welcome" : name, { id: lastEventId, ...JSON.parse(data) });
          isOpen = true;
        });
      }
      this.#source.onerror = lose;
    }

    close() {
      this.#source.close();
    }
  },

  /** An event stream that is read by `fetch`, which can send a header (HTML standard, section 9.2.6). */
  ReadStream: class {
    #leaving = new AbortController();

    constructor({ address, headers }, hear, lose) {
      this.#read(address, headers, hear).catch(() => {}).finally(() => this.#leaving.signal.aborted || lose());
    }

    async #read(address, headers, hear) {
      const { body } = await fetch(address, { headers, signal: this.#leaving.signal });
      const reader = body.pipeThrough(new TextDecoderStream()).getReader();
      let [text, isOpen] = ["", false];
      for (let chunk; !(chunk = await reader.read()).done; ) {
        const blocks = (text + chunk.value).split("\n\n");
        text = blocks.pop();
        for (const { event, id, data, retry } of blocks.map(fields)) {
          if (data === undefined) continue;
          const notice = event?.startsWith(prefix) ? event.slice(prefix.length) : "";
          const isOpening = notice === "heartbeat" && !isOpen;
          isOpen = true;
          const heard = notice ? { ...JSON.parse(data), ...(retry && { retry: Number(retry) }) } : { event, data: JSON.parse(data) };
          hear(isOpening ? "welcome" : notice, { id, ...heard });
        }
      }
    }

    close() {
      this.#leaving.abort();
    }
  },

  WebSocket: class {
    #socket;

    constructor({ address, token }, hear, lose) {
      const url = new URL(address, location.href.replace(/^http/, "ws"));
      // A token is not echoed, so the protocol that is spoken has to be offered, too.
      const protocols = ["dualcast.v1", ...(token ? [`dualcast.token.${token}`] : [])];
      this.#socket = new WebSocket(url, protocols);
      this.#socket.onmessage = ({ data }) => {
        const { control, ...rest } = JSON.parse(data);
        hear(control ?? "", rest);
      };
      this.#socket.onclose = lose;
    }

    renew(token) {
      this.#socket.send(JSON.stringify({ control: "token", token, ref: "renewal" }));
    }

    close() {
      this.#socket.onclose = null;
      this.#socket.close();
    }
  },
};

/** The fields of one event, as our server writes them: with line feeds. */
function fields(block) {
  const event = {};
  for (const line of block.split("\n")) {
    const [, name, value] = line.match(/^([^:]*):? ?(.*)$/s);
    if (name) event[name] = name in event ? `${event[name]}\n${value}` : value;
  }
  return event;
}
