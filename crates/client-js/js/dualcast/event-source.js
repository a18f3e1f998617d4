// An event stream by the browser's own EventSource, for those who want that. It hears only names that somebody listens to, sees neither
// comments nor statuses, sends no headers, and can't tell JSON from text: what parses as JSON is taken for it.

import { fromBlock } from "./frames.js";

const NOTICES = ["heartbeat", "gap", "merged", "finished", "presence", "closing"];

/** @type {import("./link.js").OpenWire} */
export function openEventSource({ url, credentials, EventSource, events }, to) {
  const source = new EventSource(url, { withCredentials: credentials === "include" });
  /** @type {Set<string>} */
  const listened = new Set();
  /** @type {string[] | undefined} */
  let channels;
  let isOpen = false;
  let last = "";

  /** @param {string} event */
  const listen = (event) => {
    if (listened.has(event)) return;
    listened.add(event);
    source.addEventListener(event, ({ data, lastEventId }) => hear(event, data, lastEventId));
  };
  /** @param {string} name */
  const listenTo = (name) => {
    for (const prefix of channels?.map((channel) => `${channel}/`) ?? [""]) {
      listen(prefix + name);
      listen(`${prefix}${name};base64`);
    }
  };
  /** @param {string} event @param {string} data @param {string} lastEventId */
  const hear = (event, data, lastEventId) => {
    // A volatile message shows the id of the one before. A heartbeat may have that itself: then there was nothing between.
    const isVolatile = lastEventId === last && !event.startsWith("dualcast:");
    const id = isVolatile ? undefined : lastEventId;
    last = lastEventId;
    to.frame(
      () => {
        const frame = fromBlock({ event, data, id, type: isJson(data) ? "json" : undefined }, Boolean(channels));
        if (!isOpen && frame.control === "heartbeat") {
          isOpen = true;
          ({ channels } = frame);
          events.forEach(listenTo);
          // And those to come.
          events.add = (name) => {
            listenTo(name);
            return Set.prototype.add.call(events, name);
          };
        }
        return frame;
      },
      { event, data },
    );
  };

  for (const notice of NOTICES) listen(`dualcast:${notice}`);
  source.addEventListener("error", (event) => {
    // A message of that name comes here, too.
    if ("data" in event) return;
    source.close();
    to.lost({});
  });
  return { close: () => source.close() };
}

/** @param {string} text */
function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
