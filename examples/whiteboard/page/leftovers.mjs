// What a page that is left had not sent yet: the next one of this tab sends it. It is written when the page goes and taken when one comes, so that a
// tab that is a copy of another has none.

/** @param {string} board @param {import("./pending.mjs").Message[]} messages */
export function leaveBehind(board, messages) {
  try {
    if (messages.length > 0) sessionStorage.setItem(place(board), JSON.stringify(messages));
  } catch {
    // A browser that keeps nothing, or not so much.
  }
}

/** @param {string} board @returns {import("./pending.mjs").Message[]} */
export function takeLeftovers(board) {
  try {
    const messages = JSON.parse(sessionStorage.getItem(place(board))) ?? [];
    sessionStorage.removeItem(place(board));
    return Array.isArray(messages) ? messages : [];
  } catch {
    return [];
  }
}

function place(board) {
  return `whiteboard.unsent.${board}`;
}
