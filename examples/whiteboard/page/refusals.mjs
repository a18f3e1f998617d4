// What a person is told of changes that the server did not take: once for all of one reason, however many messages they were. And what the person wrote
// in them, where it stands nowhere else.

import { idOf } from "./board.mjs";
import { counted } from "./words.mjs";

/** @typedef {import("./board.mjs").Change} Change */

/** How long it is waited for more, in milliseconds, and how often it is looked whether there may be. */
const longestWait = 2_000;
const pause = 200;

export class Refusals {
  #show;
  #keep;
  #isThere;
  #mayGrow;
  /** The changes of each reason. @type {Map<string, Change[]>} */
  #reasons = new Map();
  /** Those of which the person knows already. @type {Change[]} */
  #told = [];
  #kept = "";
  #since;

  /**
   * @param {object} surroundings
   * @param {(words: string) => void} surroundings.show
   * @param {(why: string, text: string) => void} surroundings.keep shows words of the user's own that are not on the board
   * @param {(text: string) => boolean} surroundings.isThere whether a note has such a text
   * @param {() => boolean} surroundings.mayGrow whether there are changes without an answer
   */
  constructor({ show, keep, isThere, mayGrow }) {
    this.#show = show;
    this.#keep = keep;
    this.#isThere = isThere;
    this.#mayGrow = mayGrow;
  }

  /** Of these the person hears. @param {Change[]} changes @param {string} why */
  take(changes, why) {
    const before = this.#reasons.get(why);
    if (before) before.push(...changes);
    else this.#reasons.set(why, [...changes]);
    this.#tellSoon();
  }

  /** Of these the person has heard, but what was written in them may be lost. @param {Change[]} changes */
  takeTold(changes) {
    this.#told.push(...changes);
    this.#tellSoon();
  }

  /** Shows what somebody else has saved of the user's words. @param {string} why @param {string} text */
  keep(why, text) {
    this.#kept = text;
    this.#keep(why, text);
  }

  #tellSoon() {
    if (this.#since !== undefined) return;
    this.#since = performance.now();
    setTimeout(() => this.#tell(), 0);
  }

  #tell() {
    if (this.#mayGrow() && performance.now() - this.#since < longestWait) {
      setTimeout(() => this.#tell(), pause);
      return;
    }
    for (const [why, changes] of this.#reasons) {
      const words = `${counted(changes.length, "change was", "changes were")} not taken: ${why}.`;
      const lost = this.#lostIn(changes);
      if (lost === "") this.#show(words);
      else this.#keep(`${words} What you wrote:`, lost);
    }
    const lost = this.#lostIn(this.#told);
    if (lost !== "") this.#keep("What you wrote:", lost);
    this.#reasons.clear();
    this.#told = [];
    this.#kept = "";
    this.#since = undefined;
  }

  /** What was written in changes, the last of each note, and can be read nowhere. */
  #lostIn(changes) {
    const texts = new Map();
    for (const change of changes) {
      const text = change.chat ?? change.props?.text;
      if (text !== undefined) texts.set(idOf(change) ?? change, text);
    }
    // An editor may be some letters ahead of what it has sent, or behind.
    const isKept = (text) => this.#kept !== "" && (this.#kept.includes(text) || text.startsWith(this.#kept));
    return [...texts.values()].filter((text) => text !== "" && !isKept(text) && !this.#isThere(text)).join("\n\n");
  }
}
