// What the connection that serves says, and who hears it: a cursor moves first, then the page is told.

import { LiveError } from "./error.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./link.js").Link} Link */
/** @typedef {import("./joined.js").House} House */
/** @typedef {import("./joined.js").Joined} Joined */

/** @param {House} house @param {Joined} joined */
export function createHearing({ stage, cursors, choice }, joined) {
  /** What came since an interruption, until all is there. @type {{ count: number, hasGap: boolean } | undefined} */
  let recovery;

  /** @param {import("./frames.js").Message} message */
  function message({ event, data, id, channel }) {
    if (id) {
      if (!cursors.take(id, channel)) return;
      if (recovery) recovery.count++;
    }
    for (const each of whoFollow(channel)) each.give({ event, data, id, channel, volatile: !id });
  }

  /** @param {Link} link @param {{ id?: string }} heartbeat */
  function heartbeat({ transport }, { id }) {
    cursors.heartbeat(id);
    // One with an id stands behind the last message that was missed.
    if (!recovery || !id || !joined.isWhole()) return;
    const { count, hasGap } = recovery;
    recovery = undefined;
    if (!hasGap) stage.tell("recovered", { count, transport });
  }

  /** Tells the page, and who follows the channel. @param {any} notice */
  function tell({ control, ...notice }) {
    const { id, channel } = notice;
    if (control === "gap") {
      notice = cursors.gap(notice);
      if (!notice) return;
      if (recovery) recovery.hasGap = true;
    } else if (id) {
      cursors.take(id, channel);
    }
    for (const each of new Set([...whoFollow(channel), stage])) if (!each.isOver) each.tell(control, notice);
    if (control === "finished") joined.end(channel);
  }

  /** Who hears of a channel. @param {string | undefined} channel */
  const whoFollow = (channel) => joined.stagesOf(channel) ?? [stage];

  /** @param {unknown} frame */
  function unknown(frame) {
    if (!stage.tell("unknown", frame)) console.warn("dualcast:", frame);
  }

  return {
    unknown,

    /** A connection begins where another ended. What came since is counted on where that had not brought all. */
    interrupted() {
      recovery = { count: recovery?.count ?? 0, hasGap: false };
    },

    /** @param {Link} link @param {Frame} frame */
    hear(link, frame) {
      // Of a channel that was left nothing is heard any more, and nothing learnt.
      if (joined.isLeaving(frame.channel)) return;
      if (link.hasLasted()) choice.lasted();
      if (frame.event !== undefined) return message(/** @type {import("./frames.js").Message} */ (frame));
      const notice = /** @type {any} */ (frame);
      switch (frame.control) {
        case "heartbeat":
          heartbeat(link, notice);
          return tell(notice);
        case "gap":
        case "merged":
        case "presence":
        case "finished":
          return tell(notice);
        case "unsubscribed":
          return joined.end(notice.channel, new LiveError("revoked"));
        case "reply":
        case "error":
          if (link.answer(notice)) return;
      }
      unknown(frame);
    },
  };
}
