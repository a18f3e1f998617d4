// What the page is going through: hidden or seen, online or not, put away and brought back. In Node nothing of it happens.

/** What a timer can hold, in milliseconds: one of more runs at once. */
export const LONGEST_TIMER = 2 ** 31 - 1;

export function isHidden() {
  return globalThis.document?.visibilityState === "hidden";
}

/** It is a hint: a machine without a network still reaches itself. */
export function isOffline() {
  return globalThis.navigator?.onLine === false;
}

/**
 * Listens to what becomes of the page, and of the network. A document's events come to its window, too; Node has neither.
 *
 * @param {{ online: () => void, [event: string]: () => void }} listeners `online` hears of each other network
 * @returns {() => void} ends it
 */
export function watch(listeners) {
  const controller = new AbortController();
  const { signal } = controller;
  for (const [event, listener] of Object.entries(listeners)) globalThis.addEventListener?.(event, listener, { signal });
  const { connection } = /** @type {{ connection?: EventTarget & { type?: string } }} */ (globalThis.navigator ?? {});
  let type = connection?.type;
  const changed = () => {
    // It also tells each new guess of how fast the network is.
    if (type !== connection?.type) listeners.online();
    type = connection?.type;
  };
  connection?.addEventListener("change", changed, { signal });
  return () => controller.abort();
}

/**
 * What the session's storage has under this key, or keeps under it from now on. Where there is none, or a page may not use it, nothing is
 * kept.
 *
 * @param {string} key
 * @param {unknown} [value] what JSON can hold
 * @returns {any}
 */
export function stored(key, value) {
  try {
    const { sessionStorage } = globalThis;
    if (value === undefined) return JSON.parse(sessionStorage.getItem(key) ?? "null");
    sessionStorage.setItem(key, JSON.stringify(value));
  } catch {
    // There is none, it is full, or it is forbidden.
  }
  return null;
}
