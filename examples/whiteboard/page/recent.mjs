// The boards that were opened here last.

const place = "whiteboard.boards";
const most = 12;

/** @returns {{ name: string, at: number }[]} */
export function recentBoards() {
  try {
    const boards = JSON.parse(localStorage.getItem(place));
    return Array.isArray(boards) ? boards.filter(({ name, at }) => /^[a-z0-9-]{1,40}$/.test(name) && Number.isFinite(at)) : [];
  } catch {
    return [];
  }
}

/** @param {string} name */
export function rememberBoard(name) {
  save([{ name, at: Date.now() }, ...recentBoards().filter((board) => board.name !== name)].slice(0, most));
}

/** @param {string} name */
export function forgetBoard(name) {
  save(recentBoards().filter((board) => board.name !== name));
}

function save(boards) {
  try {
    localStorage.setItem(place, JSON.stringify(boards));
  } catch {
    // A browser that keeps nothing.
  }
}
