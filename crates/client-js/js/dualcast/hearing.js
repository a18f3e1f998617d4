// What the connection that serves says, and who hears it: a cursor moves first, then the page is told.

import { LiveError } from "./error.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./link.js").Link} Link */
/** @typedef {import("./joined.js").House} House */

export class Hearing {
  #house;
  #joined;
  /** What came since an interruption, until all is there. @type {{ count: number, hasGap: boolean } | undefined} */
  #recovery;

  /** @param {House} house @param {import("./joined.js").Joined} joined */
  constructor(house, joined) {
    this.#house = house;
    this.#joined = joined;
  }

  /** A connection begins where another ended. What came since is counted on where that had not brought all. */
  interrupted() {
    this.#recovery = { count: this.#recovery?.count ?? 0, hasGap: false };
  }

  /** @param {Link} link @param {Frame} frame */
  hear(link, frame) {
    const { control, channel } = frame;
    // Of a channel that was left nothing is heard any more, and nothing learnt.
    if (this.#joined.isLeaving(channel)) return;
    if (link.hasLasted) this.#house.choice.lasted();
    if (frame.event !== undefined) return this.#message(/** @type {import("./frames.js").Message} */ (frame));
    const notice = /** @type {any} */ (frame);
    switch (control) {
      case "heartbeat":
        return this.#heartbeat(link, notice);
      case "gap":
        return this.#gap(notice);
      case "merged":
      case "finished":
        return this.#tell(control, notice);
      case "unsubscribed":
        return this.#joined.end(notice.channel, new LiveError("revoked"));
      case "reply":
      case "error":
        if (link.asks.answer(notice)) return;
    }
    this.unknown(frame);
  }

  /** @param {unknown} frame */
  unknown(frame) {
    if (!this.#house.stage.tell("unknown", frame)) console.warn("dualcast:", frame);
  }

  /** @param {import("./frames.js").Message} message */
  #message({ event, data, id, channel }) {
    if (id !== undefined) {
      if (!this.#house.cursors.take(id, channel)) return;
      if (this.#recovery) this.#recovery.count++;
    }
    this.#stageOf(channel).give({ event, data, id, channel, volatile: id === undefined });
  }

  /** @param {Link} link @param {{ id?: string }} heartbeat */
  #heartbeat(link, { id }) {
    const { stage, cursors } = this.#house;
    cursors.heartbeat(id);
    // One with an id stands behind the last message that was missed.
    if (!this.#recovery || !id || !this.#joined.isWhole) return;
    const { count, hasGap } = this.#recovery;
    this.#recovery = undefined;
    if (!hasGap) stage.tell("recovered", { count, transport: link.transport });
  }

  /** @param {any} notice */
  #gap({ control, ...fields }) {
    const gap = this.#house.cursors.gap(fields);
    if (!gap) return;
    if (this.#recovery) this.#recovery.hasGap = true;
    this.#tell("gap", gap);
  }

  /** Tells the page, and who follows the channel. @param {string} name @param {any} notice */
  #tell(name, { control, ...notice }) {
    const { stage, cursors } = this.#house;
    if (name !== "gap" && notice.id !== undefined) cursors.take(notice.id, notice.channel);
    const own = this.#stageOf(notice.channel);
    own.tell(name, notice);
    if (own !== stage) stage.tell(name, notice);
    if (name === "finished") this.#joined.end(notice.channel);
  }

  /** Who hears of a channel. @param {string | undefined} channel */
  #stageOf(channel) {
    return this.#joined.stageOf(channel) ?? this.#house.stage;
  }
}
