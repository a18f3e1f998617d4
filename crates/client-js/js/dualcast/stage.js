// What a page listens to: the messages of the application by their events, and by names of the client's own what became of the stream.

import { createEmitter } from "./emitter.js";
import { LiveError } from "./error.js";

/** @typedef {import("./emitter.js").Handler} Handler */
/** @typedef {import("./cursors.js").Gap} Gap */
/** @typedef {{ event: string, id?: string, channel?: string, volatile: boolean }} Meta */
/** @typedef {Meta & { data: any }} Item */

/**
 * @typedef {object} Stage
 * @property {boolean} isOver whether nothing will follow
 * @property {(name: string, handler: Handler) => () => void} on
 * @property {(event: string, handler: Handler) => () => void} onMessage
 * @property {(name: string, value: unknown) => boolean} tell tells what is the client's own, and answers whether anybody heard it
 * @property {(item: Item) => void} give gives out a message
 * @property {() => AsyncGenerator<any>} iterate all messages from now on, and gaps where they are
 * @property {() => void} end nothing will follow
 */

/** The names that are the client's own. */
const OWN = ["*", "unknown", "unsent", "closed", "finished", "merged", "error", "state", "recovered", "gap"];

/** Before those names: no event of an application begins like this. */
const PREFIX = "dualcast:";

/** How far an iteration may fall behind, in messages. */
export const MAX_ITEMS = 10_000;

/**
 * @param {(error: unknown) => void} failed hears what a handler threw
 * @param {Set<string>} events gets each event that somebody begins to listen to
 * @returns {Stage}
 */
export function createStage(failed, events) {
  const handlers = createEmitter(failed);
  /** @type {Set<(item?: unknown) => void>} */
  const iterations = new Set();

  /** @type {Stage} */
  const stage = {
    isOver: false,

    on: (name, handler) => (OWN.includes(name) ? handlers.on(PREFIX + name, handler) : stage.onMessage(name, handler)),

    onMessage(event, handler) {
      events.add(event);
      return handlers.on(event, handler);
    },

    tell(name, value) {
      if (name === "gap") iterations.forEach((push) => push({ gap: value }));
      return handlers.emit(PREFIX + name, value);
    },

    give(item) {
      if (stage.isOver) return;
      const { data, ...meta } = item;
      iterations.forEach((push) => push(item));
      stage.tell("*", item);
      handlers.emit(item.event, data, meta);
    },

    iterate() {
      /** @type {unknown[]} */
      const items = [];
      let isEnded = false;
      let isTooSlow = false;
      let wake = () => {};
      /** @param {unknown} [item] nothing, at the end */
      const push = (item) => {
        isEnded = item === undefined || items.length >= MAX_ITEMS;
        isTooSlow = isEnded && item !== undefined;
        if (isEnded) iterations.delete(push);
        else items.push(item);
        wake();
      };
      const steps = (async function* () {
        isEnded ||= stage.isOver;
        if (!isEnded) iterations.add(push);
        try {
          for (;;) {
            while (items.length) yield items.shift();
            if (isTooSlow) throw new LiveError("too-slow");
            if (isEnded) return;
            await new Promise((resolve) => (wake = /** @type {() => void} */ (resolve)));
          }
        } finally {
          iterations.delete(push);
        }
      })();
      const end = steps.return.bind(steps);
      // Also while a step waits, behind which it would wait for ever.
      steps.return = (/** @type {any} */ value) => {
        push();
        return end(value);
      };
      return steps;
    },

    end() {
      stage.isOver = true;
      iterations.forEach((push) => push());
    },
  };
  return stage;
}
