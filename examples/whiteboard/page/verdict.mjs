// What it means that a message was refused: whether it ever will be taken, and in which parts it is worth another attempt.

import { idOf } from "./board.mjs";

/** @typedef {import("./board.mjs").Change} Change */

/** Codes that speak of the moment, or of the connection, and not of what was sent: they pass. */
const passingCodes = ["away", "busy", "closed", "foreign-origin", "internal", "queue-full", "too-fast", "too-slow", "unavailable", "unconfirmed"];

/**
 * Whether the very same is never taken. Only our server knows that, and says it in a code; an answer of whoever stands before it, as of a gateway
 * during a deployment, has none, whatever its status (`http-404`).
 */
export function isFinal({ code }) {
  return code !== undefined && !code.startsWith("http-") && !passingCodes.includes(code);
}

/**
 * The server takes a message whole or not at all. One bad change shall not take the others along: each object's go by themselves. On a full board
 * halves are halved, until what finds room is found: one by one would be a message for each of thousands.
 *
 * @param {Change[]} changes @param {{ code?: string }} error @returns {Change[][]} one, where it can't be parted
 */
export function parted(changes, { code }) {
  const groups = grouped(changes);
  if (code !== "board-full" || groups.length === 1) return groups;
  const middle = Math.ceil(groups.length / 2);
  return [groups.slice(0, middle).flat(), groups.slice(middle).flat()];
}

/**
 * Where there is no room for one object there is none for those behind it: they need not be tried. Words may still find some.
 *
 * @param {Change[]} refused by themselves @param {{ code?: string }} error @param {Change[][]} parts
 * @returns {{ left: Change[][], hopeless: Change[] }}
 */
export function withoutHopeless(refused, { code }, parts) {
  if (code !== "board-full" || !refused.some(putsObject)) return { left: parts, hopeless: [] };
  const hopeless = new Set(parts.flatMap(grouped).filter((group) => group.some(putsObject)).flat());
  const left = parts.map((part) => part.filter((change) => !hopeless.has(change))).filter((part) => part.length > 0);
  return { left, hopeless: [...hopeless] };
}

function putsObject(change) {
  return "add" in change || change.props?.deleted === false;
}

/** The changes of each object; each word in the chat by itself. @param {Change[]} changes @returns {Change[][]} */
function grouped(changes) {
  const groups = new Map();
  for (const change of changes) {
    const key = idOf(change) ?? change;
    const group = groups.get(key);
    if (group) group.push(change);
    else groups.set(key, [change]);
  }
  return [...groups.values()];
}
