// A connection by the browser's own WebSocket. It does not come back by itself, nor with a cursor, so that is done here.

import { Unanswered } from "./unanswered.mjs";

const answerTimeout = 10_000;
const longestWait = 5_000;

/** What it says of itself, in numbers: its `readyState`. */
const states = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];

export class WebSocketMessages {
  #query;
  #cursor;
  #listener;
  #socket;
  #waiting;
  /** How long to wait before coming back, in milliseconds: the server says it. */
  #retry = 1_000;
  /** How often it came back in vain. */
  #attempts = 0;
  #mayComeBack = true;
  /** Who waits for the answer to which message. */
  #asked = new Map();
  #reference = 0;
  /** With which code the last one closed, while there is no other. */
  #code = "";
  transport = "ws";

  /**
   * @param {() => URLSearchParams} query which pane it is, and how it wants to be served
   * @param {() => string | null} cursor where to go on
   * @param {import("./pane.mjs").Listener} listener
   */
  constructor(query, cursor, listener) {
    this.#query = query;
    this.#cursor = cursor;
    this.#listener = listener;
    this.#open();
  }

  get tells() {
    return `${states[this.#socket.readyState]}${this.#code}`;
  }

  /** Sends a note as a message. Answers its id. */
  async send(text) {
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error("there is no connection just now");
    const ref = ++this.#reference;
    const answer = new Promise((resolve, reject) => {
      this.#asked.set(ref, { resolve, reject });
      setTimeout(() => this.#giveUp(ref, "no answer came"), answerTimeout);
    });
    this.#socket.send(JSON.stringify({ event: "note", data: text, ref }));
    return answer;
  }

  close() {
    this.#mayComeBack = false;
    clearTimeout(this.#waiting);
    this.#socket.close();
    this.#forgetAsked();
  }

  #open() {
    const query = this.#query();
    if (this.#cursor()) query.set("last-event-id", this.#cursor());
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/live?${query}`);
    this.#socket = socket;
    this.#code = "";
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    socket.onclose = ({ code }) => this.#lose(code);
  }

  #hear({ control, ...rest }) {
    switch (control) {
      case undefined:
        return this.#listener.message(rest);
      case "reply":
      case "error":
        return this.#answer(rest.ref, rest);
      case "welcome":
        this.#retry = rest.retry;
        this.#attempts = 0;
        break;
      case "closing":
        this.#mayComeBack = rest.reconnect;
        break;
    }
    this.#listener.notice(control, rest);
  }

  #lose(code) {
    this.#code = ` (${code})`;
    this.#forgetAsked();
    this.#listener.lost({ comesBack: this.#mayComeBack });
    if (this.#mayComeBack) this.#waiting = setTimeout(() => this.#open(), this.#wait());
  }

  /** As `retry` says, or longer; and where the server stays away, ever longer, and never all at once. */
  #wait() {
    const longest = Math.min(longestWait, this.#retry * 2 ** this.#attempts++);
    return this.#retry + Math.random() * Math.max(0, longest - this.#retry);
  }

  #answer(ref, { data, code, message }) {
    const asked = this.#asked.get(ref);
    this.#asked.delete(ref);
    if (code) asked?.reject(new Error(`${message} (${code})`));
    else asked?.resolve(data.id);
  }

  #giveUp(ref, why) {
    this.#asked.get(ref)?.reject(new Unanswered(why));
    this.#asked.delete(ref);
  }

  #forgetAsked() {
    for (const ref of this.#asked.keys()) this.#giveUp(ref, "the connection was lost before an answer came");
  }
}
