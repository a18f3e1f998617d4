// The newest events of a pane in a table, as many as one looks through.

import { bytes, messages, number, shorten, transportNames } from "./words.mjs";

const most = 200;

/** What a row says of an event. */
const summaries = {
  machine: ({ cpu_percent, memory_used_bytes }) => `CPU ${cpu_percent.toFixed(0)} %, memory ${bytes(memory_used_bytes)}`,
  note: ({ text, by }) => `“${text}” by ${by === "post" ? "POST" : "WebSocket"}`,
  burst: ({ n, first, last }) => `${number(n - first + 1)} of ${number(last - first + 1)}`,
  heartbeat: () => "nothing to tell up to here",
  open: ({ transport, why }) => `${transportNames[transport]}, ${why}`,
  recovered: ({ count }) => `all is there again: ${messages(count)}`,
  gap: ({ reason }) => `messages are missing: ${reason}`,
};

export class EventList {
  #body;
  #empty;
  /** What came since the last look, the oldest first. */
  #waiting = [];

  /** @param {HTMLElement} region */
  constructor(region) {
    this.#body = region.querySelector("tbody");
    this.#empty = region.querySelector(".empty");
  }

  add(event) {
    this.#waiting.push(event);
    // What would be gone before anybody saw it.
    if (this.#waiting.length > most) this.#waiting.shift();
  }

  /** Shows what came: of a burst of a thousand, what one can look through. */
  draw() {
    if (this.#waiting.length === 0) return;
    this.#empty.hidden = true;
    this.#body.prepend(...this.#waiting.reverse().map(row));
    this.#waiting = [];
    while (this.#body.rows.length > most) this.#body.lastElementChild.remove();
  }
}

function row({ id, event, data }) {
  const row = document.createElement("tr");
  row.dataset.event = event;
  const place = row.insertCell();
  place.textContent = shorten(id);
  place.title = id;
  row.insertCell().textContent = event;
  const said = row.insertCell();
  said.textContent = summaries[event]?.(data) ?? "";
  said.title = said.textContent;
  return row;
}
