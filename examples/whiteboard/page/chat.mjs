// The chat: what was said, who is typing, and what the user says.

import { shownName } from "./names.mjs";
import { timeOf } from "./words.mjs";

/** Whoever has not typed for so long, in milliseconds, has stopped; who types says so this often. */
const typingLasts = 4_000;
const typingEvery = 2_000;

export class Chat {
  #elements;
  #shown;
  #people;
  #say;
  #tellTyping;
  /** @type {Map<string, number>} */
  #typing = new Map();
  #saidTypingAt = 0;
  #drawn = [];
  #read = 0;
  #isOpen = false;
  #hasBegun = false;
  #unreadChanged;

  /**
   * @param {{ list: HTMLElement, typing: HTMLElement, form?: HTMLFormElement, text?: HTMLTextAreaElement }} elements
   * @param {import("./shown.mjs").Shown} shown
   * @param {import("./people.mjs").People} people
   * @param {object} surroundings
   * @param {(text: string) => void} [surroundings.say]
   * @param {(isTyping: boolean) => void} [surroundings.tellTyping]
   * @param {(count: number) => void} [surroundings.unreadChanged]
   */
  constructor(elements, shown, people, { say, tellTyping = () => {}, unreadChanged = () => {} }) {
    this.#elements = elements;
    this.#shown = shown;
    this.#people = people;
    this.#say = say;
    this.#tellTyping = tellTyping;
    this.#unreadChanged = unreadChanged;
    people.on(() => this.#colour());
    if (elements.form) this.#listen();
    this.draw();
  }

  /** Whether it is seen. */
  setOpen(isOpen) {
    this.#isOpen = isOpen;
    if (!isOpen) return;
    this.#elements.list.scrollTop = this.#elements.list.scrollHeight;
    this.#count();
  }

  /** The board is there: what was said before is not new. */
  begin() {
    this.#hasBegun = true;
    this.#read = this.#latest();
    this.draw();
  }

  /** @param {{ by: string, typing: boolean }} message */
  takeTyping({ by, typing }) {
    if (typing) this.#typing.set(by, Date.now() + typingLasts);
    else this.#typing.delete(by);
    this.#drawTyping();
    if (typing) setTimeout(() => this.#drawTyping(), typingLasts + 50);
  }

  draw() {
    const { list } = this.#elements;
    const wasAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const said = this.#shown.board.chat;
    const unsaid = this.#shown.unsaid;
    const words = [...said, ...unsaid.map((text) => ({ by: this.#people.me, name: "", at: undefined, text }))];
    // Only what is new is drawn, and what is no longer kept taken away: who has it read out hears nothing twice.
    const isKept = (word) => words.length > 0 && same(word, words[0]);
    const gone = Math.max(0, this.#drawn.findIndex(isKept));
    for (let i = 0; i < gone; i++) list.firstChild.remove();
    this.#drawn.splice(0, gone);
    let kept = 0;
    while (kept < this.#drawn.length && kept < words.length && same(this.#drawn[kept], words[kept])) kept += 1;
    while (list.children.length > kept) list.lastChild.remove();
    for (let i = kept; i < words.length; i++) list.append(this.#line(words[i], words[i - 1]));
    this.#drawn = words;
    list.classList.toggle("is-empty", words.length === 0);
    if (wasAtEnd) list.scrollTop = list.scrollHeight;
    for (const { by } of said) if (this.#typing.has(by) && said.at(-1).by === by && Date.now() - said.at(-1).at < 1_000) this.#typing.delete(by);
    this.#drawTyping();
    this.#count();
  }

  #line({ by, name, at, text }, previous) {
    const item = document.createElement("div");
    const isMine = by !== undefined && by === this.#people.me;
    item.classList.toggle("is-mine", isMine);
    item.classList.toggle("is-unsaid", at === undefined);
    const isContinued = previous && previous.by === by && (at === undefined || at - (previous.at ?? at) < 180_000);
    if (!isContinued) {
      const head = document.createElement("p");
      head.className = "said-by";
      const who = document.createElement("b");
      who.textContent = isMine ? "You" : shownName(name);
      who.dataset.by = by;
      who.dataset.color = this.#people.get(by).color;
      const time = document.createElement("time");
      time.textContent = at === undefined ? "" : timeOf(at);
      head.append(who, time);
      item.append(head);
    }
    const body = document.createElement("p");
    body.className = "said";
    body.textContent = text;
    item.append(body);
    return item;
  }

  /** Who was not known when their words were drawn may be now. */
  #colour() {
    for (const who of this.#elements.list.querySelectorAll("[data-by]")) who.dataset.color = this.#people.get(who.dataset.by).color;
    this.#drawTyping();
  }

  #drawTyping() {
    const now = Date.now();
    for (const [by, until] of this.#typing) if (until <= now) this.#typing.delete(by);
    const names = [...this.#typing.keys()].filter((by) => by !== this.#people.me).map((by) => this.#people.get(by).name);
    const words = names.length > 2 ? "Several people are typing" : names.length === 2 ? `${names[0]} and ${names[1]} are typing` : names.length === 1 ? `${names[0]} is typing` : "";
    if (this.#elements.typing.textContent !== words) this.#elements.typing.textContent = words;
  }

  #latest() {
    return this.#shown.board.chat.at(-1)?.at ?? 0;
  }

  #count() {
    if (!this.#hasBegun) return;
    if (this.#isOpen) this.#read = this.#latest();
    const unread = this.#shown.board.chat.filter(({ at, by }) => at > this.#read && by !== this.#people.me).length;
    this.#unreadChanged(unread);
  }

  #listen() {
    const { form, text } = this.#elements;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    text.addEventListener("input", () => {
      this.#grow();
      const isTyping = text.value !== "";
      if (isTyping && Date.now() - this.#saidTypingAt < typingEvery) return;
      this.#saidTypingAt = isTyping ? Date.now() : 0;
      this.#tellTyping(isTyping);
    });
  }

  #submit() {
    const { text, list } = this.#elements;
    const words = text.value.trim();
    if (words === "") return;
    text.value = "";
    this.#grow();
    this.#saidTypingAt = 0;
    this.#tellTyping(false);
    this.#say(words);
    this.draw();
    list.scrollTop = list.scrollHeight;
  }

  #grow() {
    const { text } = this.#elements;
    text.style.height = "auto";
    text.style.height = `${Math.min(120, text.scrollHeight)}px`;
  }
}

function same(a, b) {
  return a.by === b.by && a.text === b.text && a.at === b.at;
}
