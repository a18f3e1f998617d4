// Who is here: as presence tells it, with what was heard of names before, so that those who left are still called by theirs.

import { anonymous, shownName } from "./names.mjs";

/** @typedef {{ name: string, color: number }} Person */

const nobody = { name: anonymous, color: 0 };

export class People {
  /** @type {Map<string, Person>} */
  #members = new Map();
  #count = 0;
  /** @type {Map<string, Person>} */
  #known = new Map();
  #me;
  #heard = new Set();

  /** @param {string} [me] the user's public id; a viewer has none */
  constructor(me) {
    this.#me = me;
  }

  get me() {
    return this.#me;
  }

  /** How many are here, more than are known where there are many. */
  get count() {
    return this.#count;
  }

  /** The others, those who came last at the end. @returns {[string, Person][]} */
  get others() {
    return [...this.#members].filter(([id]) => id !== this.#me);
  }

  /** Of a crowd not all are known: nobody is missed there. */
  isHere(id) {
    return this.#members.has(id) || this.#members.size < this.#count;
  }

  /** @param {string} id @returns {Person} */
  get(id) {
    return this.#members.get(id) ?? this.#known.get(id) ?? nobody;
  }

  /** The name of somebody who is not the user. @param {string | null} id */
  nameOfOther(id) {
    return id === null || id === this.#me ? undefined : this.get(id).name;
  }

  /** @param {() => void} listener */
  on(listener) {
    this.#heard.add(listener);
  }

  /** As presence has it. @param {Iterable<[string, any]>} members @param {number} count */
  take(members, count) {
    this.#members = new Map([...members].map(([id, data]) => [id, personOf(data)]));
    for (const [id, person] of this.#members) this.#known.set(id, person);
    this.#count = count;
    this.#tell();
  }

  /** Names that stand in the log; of what the server does in somebody's place there is none. @param {string} id @param {string} name */
  learn(id, name) {
    if (name !== "" && !this.#known.has(id)) this.#known.set(id, { name: shownName(name), color: 0 });
  }

  #tell() {
    for (const listener of this.#heard) listener();
  }
}

function personOf(data) {
  const { name, color } = data ?? {};
  return {
    name: shownName(name),
    color: Number.isInteger(color) && color >= 0 && color < 8 ? color : 0,
  };
}

/** Up to two letters for a name. */
export function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((word) => [...word][0]?.toUpperCase() ?? "").join("");
}

/** Fills a round button: letters that are seen, and words that are heard. @param {HTMLElement} button @param {string} name @param {string} words */
export function letter(button, name, words) {
  const seen = document.createElement("span");
  seen.setAttribute("aria-hidden", "true");
  seen.textContent = initials(name);
  const heard = document.createElement("span");
  heard.className = "unseen";
  heard.textContent = words;
  button.replaceChildren(seen, heard);
}
