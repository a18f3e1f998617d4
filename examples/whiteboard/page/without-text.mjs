// What is left of a change where a note's text is not to be the user's any more.

import { idOf } from "./board.mjs";

/** The change without the text of this note and its lock, or nothing. A note that is new goes as it is. @param {import("./board.mjs").Change} change @param {string} id */
export function withoutText(change, id) {
  if (idOf(change) !== id || "add" in change) return change;
  const { text, ...props } = change.props ?? {};
  return Object.keys(props).length > 0 ? { ...change, props } : undefined;
}
