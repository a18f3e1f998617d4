// What was done on the board, the newest first.

import { shownName } from "./names.mjs";
import { ago } from "./words.mjs";

const did = { add: "added", remove: "deleted", restore: "brought back", text: "wrote on" };
const kinds = { note: "a note", stroke: "a line", rect: "a rectangle", ellipse: "an ellipse" };

export class Activity {
  #list;
  #shown;
  #people;
  #isOpen = false;

  /**
   * @param {HTMLElement} list
   * @param {import("./shown.mjs").Shown} shown
   * @param {import("./people.mjs").People} people
   * @param {(id: string) => void} goTo shows an object
   */
  constructor(list, shown, people, goTo) {
    this.#list = list;
    this.#shown = shown;
    this.#people = people;
    list.addEventListener("click", ({ target }) => {
      const id = target.closest("[data-object]")?.dataset.object;
      if (id !== undefined) goTo(id);
    });
    setInterval(() => this.draw(), 30_000);
  }

  setOpen(isOpen) {
    this.#isOpen = isOpen;
    this.draw();
  }

  draw() {
    if (!this.#isOpen) return;
    const now = Date.now();
    const hadFocus = document.activeElement?.closest("[data-object]")?.dataset.object;
    this.#list.replaceChildren(...together(this.#shown.board.activity).reverse().map((deed) => this.#line(deed, now)));
    this.#list.classList.toggle("is-empty", this.#list.children.length === 0);
    if (hadFocus !== undefined) this.#list.querySelector(`[data-object="${CSS.escape(hadFocus)}"]`)?.focus({ preventScroll: true });
  }

  #line({ by, name, did: what, kind, id, at, count }, now) {
    const item = document.createElement("li");
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.dataset.color = this.#people.get(by).color;
    const words = document.createElement("span");
    const who = document.createElement("b");
    who.textContent = by === this.#people.me ? "You" : shownName(name);
    const object = count > 1 ? `${count} ${kinds[kind].replace(/^an? /, "")}s` : kinds[kind];
    words.append(who, ` ${did[what]} ${object}`);
    const text = this.#shown.get(id)?.text?.trim();
    if (text && count === 1) {
      const excerpt = document.createElement("q");
      excerpt.textContent = text.length > 60 ? `${text.slice(0, 60)}…` : text;
      words.append(" ", excerpt);
    }
    const time = document.createElement("time");
    time.textContent = ago(at, now);
    if (this.#shown.get(id)) {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.object = id;
      button.append(dot, words, time);
      item.append(button);
    } else item.append(dot, words, time);
    return item;
  }
}

/** Deeds of one kind in a row, told as one: nobody reads "added a line" twelve times. */
export function together(activity) {
  const deeds = [];
  for (const deed of activity) {
    const last = deeds.at(-1);
    if (last && last.by === deed.by && last.did === deed.did && last.kind === deed.kind && deed.did !== "text" && deed.at - last.at < 120_000) {
      deeds[deeds.length - 1] = { ...deed, count: last.count + 1 };
    } else deeds.push({ ...deed, count: 1 });
  }
  return deeds;
}
