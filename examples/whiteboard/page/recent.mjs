// The boards that were opened here last.

import { keep, recall } from "./storage.mjs";

const place = "whiteboard.boards";
const most = 12;

/** @returns {{ name: string, at: number }[]} */
export function recentBoards() {
  const boards = recall(place);
  return Array.isArray(boards) ? boards.filter((board) => /^[a-z0-9-]{1,40}$/.test(board?.name) && Number.isFinite(board.at)) : [];
}

/** @param {string} name */
export function rememberBoard(name) {
  keep(place, [{ name, at: Date.now() }, ...recentBoards().filter((board) => board.name !== name)].slice(0, most));
}

/** @param {string} name */
export function forgetBoard(name) {
  keep(place, recentBoards().filter((board) => board.name !== name));
}
