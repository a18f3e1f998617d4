// An event stream, read with `fetch`: so its status, the bodies of errors and its comments can be seen, and headers be sent.

import { EventStreamParser } from "./event-stream.js";
import { fromBlock } from "./frames.js";

/** As much of an error's body as is worth telling, in characters. */
const LONGEST_ERROR = 1_000;

/** @type {import("./link.js").OpenWire} */
export function openEventStream({ url, headers, credentials, fetch }, to) {
  const controller = new AbortController();
  const { signal } = controller;
  let namesChannels = false;

  const parser = new EventStreamParser({
    event: (block) =>
      to.frame(() => {
        const frame = fromBlock(block, namesChannels);
        // The first says so.
        namesChannels ||= frame.control !== undefined && "channels" in frame;
        return frame;
      }, block),
    retry: to.retry,
    // Heartbeats may be comments.
    comment: (text) => text.trim() === "heartbeat" && to.frame(() => ({ control: "heartbeat" })),
  });

  const read = async () => {
    const response = await fetch(url, { headers, credentials, signal, cache: "no-store" });
    const { ok, status, headers: head } = response;
    if (!ok || !head.get("content-type")?.startsWith("text/event-stream")) {
      // A date is no number, and what is no number asks for nothing.
      const retry = Number(head.get("retry-after")) * 1_000 || undefined;
      return to.lost({ status, retry, message: (await response.text()).slice(0, LONGEST_ERROR) });
    }
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return to.lost({});
      to.alive();
      parser.push(value);
    }
  };
  read().catch((error) => to.lost({ message: String(error) }));
  return { close: () => controller.abort() };
}
