// What the page is going through: hidden or seen, online or not, put away and brought back. In Node nothing of it happens.

/**
 * @typedef {object} Watcher
 * @property {() => void} woken the page can be seen, or the network is back: what waits may go on
 * @property {() => void} moved the network is another one, or back
 * @property {() => void} hid the page can't be seen, and may never be again
 * @property {() => void} put the page is put away: it may be brought back, or not
 * @property {() => void} brought the page is back
 */

export function isHidden() {
  return globalThis.document?.visibilityState === "hidden";
}

/** It is a hint: a machine without a network still reaches itself. */
export function isOffline() {
  return globalThis.navigator?.onLine === false;
}

/**
 * @param {Watcher} watcher
 * @returns {() => void} ends it
 */
export function watch({ woken, moved, hid, put, brought }) {
  const controller = new AbortController();
  /** @param {EventTarget | undefined} target @param {string} type @param {() => void} listener */
  const listen = (target, type, listener) => {
    target?.addEventListener?.(type, listener, { signal: controller.signal });
  };
  const window = /** @type {EventTarget} */ (globalThis);
  const { connection } = /** @type {{ connection?: EventTarget & { type?: string } }} */ (globalThis.navigator ?? {});
  let type = connection?.type;
  listen(globalThis.document, "visibilitychange", () => (isHidden() ? hid() : woken()));
  listen(connection, "change", () => {
    // It also tells each new guess of how fast the network is.
    if (type !== connection?.type) moved();
    type = connection?.type;
  });
  listen(globalThis.document && window, "pagehide", put);
  listen(globalThis.document && window, "pageshow", brought);
  // Workers hear it, too.
  listen(window, "online", moved);
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
    if (value === undefined) return JSON.parse(globalThis.sessionStorage.getItem(key) ?? "null");
    globalThis.sessionStorage.setItem(key, JSON.stringify(value));
  } catch {
    // There is none, it is full, or it is forbidden.
  }
  return null;
}
