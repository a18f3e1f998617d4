// The board as it is, from the server.

/** How long nothing may come of it, in milliseconds. A large board on a slow link takes longer, and comes bit by bit. */
const silence = 10_000;

/**
 * Rejects where it can't be had, or nothing comes for too long: a network that swallows a request tells nobody.
 *
 * @param {string} address of the board
 * @returns {Promise<{ position: string, board: object }>}
 */
export async function loadSnapshot(address) {
  const request = new AbortController();
  let timer;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => request.abort(new Error(`nothing came for ${silence / 1_000} seconds`)), silence);
  };
  wait();
  try {
    // Past the cache, which would let it wait for the answer to an earlier request of the same.
    const response = await fetch(`${address}/snapshot`, { signal: request.signal, cache: "no-store" });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const parts = [];
    for (const reader = response.body.getReader(); ; ) {
      wait();
      const { done, value } = await reader.read();
      if (done) return JSON.parse(await new Blob(parts).text());
      parts.push(value);
    }
  } finally {
    clearTimeout(timer);
  }
}
