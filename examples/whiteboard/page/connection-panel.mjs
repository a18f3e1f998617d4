// The connection as a person sees it: a lamp in the bar, and the figures behind it.

import { counted, duration, transportNames } from "./words.mjs";

const explanations = {
  auto: "The best transport that works here is taken, and another when it fails.",
  ws: "Everything goes over one WebSocket.",
  sse: "The board comes as an event stream; each change goes out as a POST.",
};

export class ConnectionPanel {
  #elements;
  #connection;
  #pending;
  #drawn = "";

  /**
   * @param {Record<"lamp" | "word" | "words" | "transports" | "figures" | "notice" | "reconnect", HTMLElement>} elements
   * @param {import("./connection.mjs").Connection} connection
   * @param {import("./pending.mjs").Pending} pending
   * @param {(transport: string) => void} choose
   */
  constructor(elements, connection, pending, choose) {
    this.#elements = elements;
    this.#connection = connection;
    this.#pending = pending;
    elements.transports.addEventListener("change", ({ target }) => choose(target.value));
    elements.reconnect.addEventListener("click", () => connection.rejoin());
    elements.transports.querySelector(`[value="${connection.transport}"]`).checked = true;
    // What takes a while, as the time without a connection, changes by itself.
    setInterval(() => this.draw(), 500);
  }

  draw() {
    const { state, figures, cursor, transport } = this.#connection;
    const { unsent } = this.#pending;
    const isOpen = state.status === "open";
    this.#elements.lamp.dataset.state = isOpen ? "open" : state.status === "closed" ? "closed" : "away";
    const word = isOpen ? transportNames[state.transport] : shortWords(state);
    this.#write("word", word);
    this.#elements.lamp.setAttribute("aria-label", `Connection: ${word}`);
    this.#write("words", isOpen ? explanations[transport] : longWords(state));
    this.#drawNotice(isOpen, state, unsent);
    const lines = {
      Transport: isOpen ? transportNames[state.transport] : "none just now",
      Latency: duration(figures.latency),
      Reconnects: figures.reconnects,
      Replayed: counted(figures.replayed, "message"),
      "Unsent changes": unsent,
      Gaps: figures.gaps,
      Cursor: cursor ?? "–",
    };
    const all = JSON.stringify(lines);
    if (all === this.#drawn) return;
    this.#drawn = all;
    this.#elements.figures.replaceChildren(...Object.entries(lines).map(([name, value]) => line(name, `${value}`)));
  }

  #drawNotice(isOpen, { status, message, reason }, unsent) {
    const { notice } = this.#elements;
    const isQuiet = isOpen || (status === "connecting" && unsent === 0) || (status === "loading" && !message);
    const changes = counted(unsent, "change");
    let words = "";
    if (status === "closed") words = `Disconnected${reason ? ` (${reason})` : ""}. ${unsent > 0 ? `${changes} unsent. ` : ""}Reconnect in the connection panel.`;
    else if (!isQuiet && unsent > 0) words = `Not connected. ${changes} unsent: they go out when the connection is back.`;
    else if (!isQuiet) words = "Not connected. You can go on: changes go out when the connection is back.";
    // Only those that stay are worth a word.
    else if (this.#pending.isStuck) words = `${changes} unsent.`;
    // Who listens hears that it changed, not each number.
    notice.hidden = words === "";
    if (words !== notice.textContent) notice.textContent = words;
  }

  #write(name, words) {
    if (this.#elements[name].textContent !== words) this.#elements[name].textContent = words;
  }
}

function shortWords({ status }) {
  return { loading: "Loading", connecting: "Connecting", waiting: "Offline", away: "Offline", closed: "Closed" }[status];
}

function longWords({ status, retryAt, message, reason }) {
  if (status === "loading") return message ? `The board can’t be loaded: ${message}. Trying again.` : "Loading the board.";
  if (status === "waiting") return `The connection is lost${reason === "lost" ? "" : ` (${reason})`}. Next attempt in ${Math.max(0, Math.ceil((retryAt - Date.now()) / 1_000))} s.`;
  if (status === "away") return "This page is hidden, or the machine offline.";
  if (status === "closed") return `Disconnected: ${message ?? reason}.`;
  return "Connecting.";
}

function line(name, value) {
  const group = document.createElement("div");
  const term = document.createElement("dt");
  const description = document.createElement("dd");
  term.textContent = name;
  description.textContent = value;
  group.append(term, description);
  return group;
}
