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
    const { ok, status, body } = response;
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
    if (!ok || status === 204 || !isStream || !body) {
      const text = status === 204 ? "" : (await response.text()).slice(0, LONGEST_ERROR);
      const seconds = Number(response.headers.get("retry-after"));
      return to.lost({ status, message: text, retry: seconds > 0 ? seconds * 1_000 : undefined });
    }
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return to.lost({});
      parser.push(value);
    }
  };
  read().catch((error) => signal.aborted || to.lost({ message: String(error) }));
  return { close: () => controller.abort() };
}
