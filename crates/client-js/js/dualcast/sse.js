// An event stream, read with `fetch`: so its status, the bodies of errors and its comments can be seen, and headers be sent.

import { read } from "./answer.js";
import { createEventStreamParser } from "./event-stream.js";
import { fromBlock } from "./frames.js";

/** @type {import("./link.js").OpenWire} */
export function openEventStream({ url, right: { headers }, credentials, fetch }, to) {
  const controller = new AbortController();
  const { signal } = controller;
  /** Those that stand in front of a slash, on a stream of several. @type {string[] | undefined} */
  let channels;

  const parser = createEventStreamParser({
    event: (block) =>
      to.frame(() => {
        /** @type {any} */
        const frame = fromBlock(block, Boolean(channels));
        // The opening says so.
        channels ??= frame.channels;
        return frame;
      }, block),
    retry: to.retry,
    // Heartbeats may be comments, and the opening, too.
    comment(text) {
      const [word, names] = text.split(" ");
      if (word === "channels") channels = names.split(",");
      if (word === "heartbeat") to.frame(() => ({ control: "heartbeat", channels }));
    },
  });

  headers.set("accept", "text/event-stream");

  const follow = async () => {
    const response = await fetch(url, { headers, credentials, signal, cache: "no-store" });
    if (!response.ok || !response.headers.get("content-type")?.startsWith("text/event-stream")) {
      return to.lost(await read(response));
    }
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return to.lost({});
      to.alive();
      parser.push(value);
    }
  };
  follow().catch((error) => to.lost({ message: String(error) }));
  return { close: () => controller.abort() };
}
