// What a browser keeps for its user, as JSON: where it keeps nothing, everything goes on without.

/** What was kept in a place, if it can be read. @param {string} place @returns {unknown} */
export function recall(place) {
  try {
    return JSON.parse(localStorage.getItem(place)) ?? undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} place @param {unknown} value */
export function keep(place, value) {
  try {
    localStorage.setItem(place, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing, or not so much.
  }
}
