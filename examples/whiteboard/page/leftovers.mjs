// What a page that is left had not sent yet: the next one of this tab sends it. It is written when the page goes and taken when one comes, so that a
// tab that is a copy of another has none. A browser keeps some megabytes of it: where there is more, what was done first is kept, and of the rest the
// next page knows how much it was.

/** @typedef {import("./pending.mjs").Message} Message */

/** @param {string} board @param {Message[]} messages @returns {Message[]} those that are kept */
export function leaveBehind(board, messages) {
  if (messages.length === 0) return [];
  // Its place is taken first: afterwards there may be no room for it.
  if (!write(lostPlace(board), `${counted(messages)}`)) return [];
  let [kept, tooMany] = [0, messages.length + 1];
  for (let count = messages.length; kept + 1 < tooMany; count = Math.floor((kept + tooMany) / 2)) {
    // One that is too long leaves what was written before.
    if (write(place(board), JSON.stringify(messages.slice(0, count)))) kept = count;
    else tooMany = count;
  }
  const lost = counted(messages.slice(kept));
  if (lost > 0) write(lostPlace(board), `${lost}`);
  else sessionStorage.removeItem(lostPlace(board));
  return messages.slice(0, kept);
}

/** @param {string} board @returns {{ messages: Message[], lost: number }} what is there, and how many changes found no room */
export function takeLeftovers(board) {
  try {
    const messages = JSON.parse(sessionStorage.getItem(place(board)));
    const lost = Number(sessionStorage.getItem(lostPlace(board)));
    for (const taken of [place(board), lostPlace(board)]) sessionStorage.removeItem(taken);
    return { messages: Array.isArray(messages) ? messages : [], lost: lost || 0 };
  } catch {
    return { messages: [], lost: 0 };
  }
}

function counted(messages) {
  return messages.reduce((sum, { changes }) => sum + changes.length, 0);
}

function place(board) {
  return `whiteboard.unsent.${board}`;
}

function lostPlace(board) {
  return `whiteboard.lost.${board}`;
}

/** Whether the browser keeps it. */
function write(place, text) {
  try {
    sessionStorage.setItem(place, text);
    return true;
  } catch {
    return false;
  }
}
