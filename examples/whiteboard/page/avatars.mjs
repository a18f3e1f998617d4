// The people in the bar, and in its list. One is followed by a press.

import { initials, letter } from "./people.mjs";

/** So many stand in the bar, the rest behind a number. */
const mostWide = 4;
const mostNarrow = 0;

export class Avatars {
  #people;
  #elements;
  #follow;
  #stateOf;
  #followed;
  #isNarrow = matchMedia("(max-width: 640px)");

  /**
   * @param {import("./people.mjs").People} people
   * @param {object} elements
   * @param {HTMLElement} elements.row
   * @param {HTMLElement} elements.count
   * @param {HTMLElement} elements.title
   * @param {HTMLElement} elements.list
   * @param {HTMLElement} elements.board has the colour around it of whoever is followed
   * @param {object} surroundings
   * @param {(id: string) => void} surroundings.follow
   * @param {(id: string) => string | undefined} surroundings.stateOf what somebody is doing
   */
  constructor(people, elements, { follow, stateOf }) {
    this.#people = people;
    this.#elements = elements;
    this.#follow = follow;
    this.#stateOf = stateOf;
    people.on(() => this.draw());
    this.#isNarrow.addEventListener("change", () => this.draw());
  }

  /** Who is followed, or nobody. @param {string | undefined} id */
  showFollowed(id) {
    this.#followed = id;
    const { board } = this.#elements;
    board.classList.toggle("is-following", id !== undefined);
    if (id !== undefined) board.dataset.color = this.#people.get(id).color;
    this.draw();
  }

  draw() {
    const { others, count, me } = this.#people;
    const most = this.#isNarrow.matches ? mostNarrow : mostWide;
    // The one that is followed is always seen.
    const sorted = [...others].sort(([a], [b]) => (b === this.#followed) - (a === this.#followed));
    this.#elements.row.hidden = others.length === 0 || most === 0;
    fill(this.#elements.row, sorted.slice(0, most), (person) => this.#avatar(person));
    const rest = count - Math.min(others.length, most) - (me === undefined ? 0 : 1);
    this.#elements.count.lastElementChild.textContent = most > 0 ? `+${rest}` : `${count}`;
    this.#elements.count.hidden = rest <= 0 && most > 0;
    this.#elements.count.setAttribute("aria-label", `Who is here: ${count}`);
    this.#elements.title.textContent = `Here now: ${count}`;
    fill(this.#elements.list, this.#everybody(others, me), (person) => this.#line(person));
  }

  #everybody(others, me) {
    return me === undefined ? others : [[me, this.#people.get(me)], ...others];
  }

  #avatar([id, { name, color }]) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "avatar";
    button.dataset.color = color;
    button.dataset.user = id;
    button.dataset.tip = name;
    const isFollowed = this.#followed === id;
    button.setAttribute("aria-pressed", isFollowed);
    letter(button, name, isFollowed ? `Stop following ${name}` : `Follow ${name}`);
    button.classList.toggle("is-busy", this.#stateOf(id) !== undefined);
    button.addEventListener("click", () => this.#follow(id));
    item.append(button);
    return item;
  }

  #line([id, { name, color }]) {
    const item = document.createElement("li");
    const dot = document.createElement("span");
    dot.className = "avatar";
    dot.dataset.color = color;
    dot.textContent = initials(name);
    dot.setAttribute("aria-hidden", "true");
    const isMe = id === this.#people.me;
    const words = document.createElement("span");
    words.className = "who";
    words.textContent = isMe ? `${name} (you)` : name;
    const state = document.createElement("small");
    state.textContent = (!isMe && this.#stateOf(id)) || "";
    words.append(state);
    item.append(dot, words);
    if (!isMe) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button";
      button.textContent = this.#followed === id ? "Following" : "Follow";
      button.setAttribute("aria-pressed", this.#followed === id);
      button.setAttribute("aria-label", `Follow ${name}`);
      button.addEventListener("click", () => this.#follow(id));
      item.append(button);
    }
    return item;
  }
}

/** Puts new elements in place of the old, and keeps the focus where it was. */
function fill(parent, items, make) {
  const had = [...parent.children].findIndex((child) => child.contains(document.activeElement));
  parent.replaceChildren(...items.map(make));
  if (had >= 0) parent.children[Math.min(had, parent.children.length - 1)]?.querySelector("button")?.focus({ preventScroll: true });
}
