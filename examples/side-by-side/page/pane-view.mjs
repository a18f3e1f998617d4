// What a pane looks like: its copy of the template in the page, and what is written into it.

import { EventList } from "./event-list.mjs";
import { Plot } from "./plot.mjs";
import { Unanswered } from "./unanswered.mjs";
import { latency, number, rate as rateInWords } from "./words.mjs";

export class PaneView {
  #letter;
  #element = document.querySelector("#pane").content.cloneNode(true).firstElementChild;
  #events = new EventList(this.#show("events"));
  #plot = new Plot(this.#show("plot"));

  /** @param {string} letter what people call the pane */
  constructor(letter) {
    this.#letter = letter;
    this.#element.dataset.pane = letter.toLowerCase();
    this.#show("letter").textContent = letter;
    this.#show("whose").textContent = `Pane ${letter}: `;
    this.#show("buttons").setAttribute("aria-label", `The connection of pane ${letter}`);
    this.#show("events").setAttribute("aria-label", `Events of pane ${letter}, the newest first`);
  }

  get element() {
    return this.#element;
  }

  /**
   * @param {(action: string) => void} act does what a button says
   * @param {(text: string) => Promise<string>} send sends a note, and answers its id
   */
  listen(act, send) {
    for (const button of this.#buttons()) button.addEventListener("click", () => act(button.dataset.do));
    const form = this.#show("form");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const { note } = form.elements;
      const text = note.value;
      this.answer("Sending …");
      try {
        this.answer(`Sent; its id is ${await send(text)}`);
        if (note.value === text) note.value = "";
      } catch (error) {
        const isKnown = !(error instanceof Unanswered);
        const said = isKnown ? `Not sent: ${error.message}` : `Not known whether it was sent: ${error.message}`;
        this.answer(said, { isError: true });
      }
    });
  }

  /** Writes what changes with the transport and the switches. */
  label({ service: { title, teller, way, switching, privation }, holdSeconds, hasHeartbeats, hasUpgrades }) {
    this.#element.setAttribute("aria-label", `Pane ${this.#letter}: ${title}`);
    this.#show("title").textContent = title;
    this.#show("teller").textContent = teller;
    this.#show("way").textContent = way;
    this.#button("hold").textContent = `Pause ${holdSeconds} s`;
    write(this.#button("switch"), switching);
    for (const [name, has] of Object.entries({ heartbeats: hasHeartbeats, upgrades: hasUpgrades })) {
      this.#button(name).setAttribute("aria-pressed", !has);
      this.#button(name).hidden = name !== privation;
    }
  }

  /** Says what became of a note, or of a button's work. */
  answer(text, { isError = false } = {}) {
    const answer = this.#show("answer");
    answer.textContent = text;
    answer.classList.toggle("error", isError);
  }

  /** Notes an event, to be shown at the next look. */
  add(event) {
    this.#events.add(event);
  }

  /** Writes all that changes all the time. */
  draw(now, { ledger, rate, latencies, bytesEach, transport, tells, heard, isPossible }) {
    const { verdict, isOpen, heardAt, cursor, messages, reconnects, gaps, wrong, recoveredCount } = ledger;
    if (transport) this.#element.dataset.transport = transport;
    this.#element.dataset.state = isOpen ? "open" : "away";
    const age = Math.max(0, (now - heardAt) / 1_000).toFixed(1);
    write(this.#show("state"), isOpen ? `${heard} ${age} s ago` : "no connection");
    write(this.#show("tells"), tells);
    this.#element.querySelector(".verdict").dataset.tone = verdict.tone;
    write(this.#show("verdict"), verdict.text);

    const percentiles = latencies.percentiles();
    const facts = {
      rate: rateInWords(rate.perSecond(now)),
      p50: percentiles && latency(percentiles.p50),
      p95: percentiles && latency(percentiles.p95),
      bytes: bytesEach && number(bytesEach),
      messages: number(messages),
      reconnects: number(reconnects),
      gaps: number(gaps),
      wrong: number(wrong),
      recovered: recoveredCount === null ? null : number(recoveredCount),
      cursor,
    };
    for (const [name, text] of Object.entries(facts)) {
      // What isn't known yet stays as the template has it.
      if (text !== null) write(this.#element.querySelector(`[data-fact="${name}"]`), text);
    }
    this.#element.classList.toggle("has-wrongs", wrong > 0);
    for (const button of this.#buttons()) button.setAttribute("aria-disabled", !isPossible(button.dataset.do));
    this.#plot.draw(latencies, now);
    this.#events.draw();
  }

  #buttons() {
    return this.#element.querySelectorAll("[data-do]");
  }

  #button(name) {
    return this.#element.querySelector(`[data-do="${name}"]`);
  }

  #show(name) {
    return this.#element.querySelector(`[data-show="${name}"]`);
  }
}

/** A status that is written again is read out again, so only what differs is written. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
