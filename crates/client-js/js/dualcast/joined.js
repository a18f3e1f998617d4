// The channels that the page joined, each for one or several who follow it. On a WebSocket each is asked for on the live connection, with its
// own cursor; an event stream is opened anew with all of them in its query.

import { Channel } from "./channel.js";
import { LiveError, PASSING, USUAL_RETRY } from "./error.js";

/** @typedef {import("./link.js").Link} Link */
/** @typedef {ReturnType<typeof createJoined>} Joined */
/** @typedef {import("./stage.js").Stage} Stage */

/**
 * @typedef {object} Follower
 * @property {Stage} stage
 * @property {(nothing?: any) => void} follow resolves `ready`
 * @property {(error: LiveError) => void} refuse rejects it
 */
/**
 * @typedef {object} Member
 * @property {string} name
 * @property {Set<Follower>} followers
 * @property {boolean} [isFollowed]
 * @property {ReturnType<typeof setTimeout>} [timer] when it is asked for again
 */

/**
 * What the parts of the client share.
 *
 * @typedef {object} House
 * @property {Stage} stage who hears of the route's own channels, and of all else
 * @property {() => Stage} newStage for one more channel
 * @property {import("./cursors.js").Cursors} cursors
 * @property {import("./choice.js").Choice} choice
 * @property {() => Link | undefined} link the connection, while it is open
 * @property {() => void} changed the event stream, if it is one, has to be opened anew
 * @property {(message: object) => Promise<any>} post
 */

/** @param {House} house */
export function createJoined({ cursors, newStage, link, changed }) {
  /** @type {Map<string, Member>} */
  const members = new Map();
  /** Of these nothing is heard any more, though the server may not know yet. One that was left twice is here twice. @type {string[]} */
  let leaving = [];
  /** These are owed what they missed. @type {Set<string>} */
  let owed = new Set();

  const all = () => [...members.values()];

  /** Whether it was not left meanwhile, though it may have been joined again. @param {Member} member */
  const isThere = (member) => members.get(member.name) === member;

  /** Whom to tell of this channel, where the page joined it. @param {string} [name] @returns {Stage[] | undefined} */
  const stagesOf = (name = "") => {
    const member = members.get(name);
    return member && [...member.followers].map(({ stage }) => stage);
  };

  /** A channel is followed no longer. @param {string} name @param {LiveError} [error] why, unless it is finished */
  function end(name, error) {
    const member = members.get(name);
    if (!member) return;
    forget(member);
    for (const { stage, refuse } of member.followers) {
      refuse(error ?? new LiveError("finished"));
      stage.end();
      // Not in the middle of what ended it: the page may close the client at this.
      queueMicrotask(() => stage.tell("closed", error));
    }
  }

  /** @param {Member} member @param {Follower} follower */
  function leave(member, follower) {
    const { name, followers } = member;
    if (!isThere(member) || !followers.delete(follower)) return;
    follower.refuse(new LiveError("closed"));
    follower.stage.end();
    if (followers.size) return;
    forget(member);
    const open = link();
    if (!open) return;
    leaving.push(name);
    if (!open.canSend()) return changed();
    open.ask({ control: "unsubscribe", channel: name }, () => leaving.splice(leaving.indexOf(name), 1));
  }

  /** @param {Member} member */
  function forget({ name, timer }) {
    clearTimeout(timer);
    members.delete(name);
    owed.delete(name);
    cursors.leave(name);
  }

  /** @param {Link} by @param {Member} member */
  function ask(by, member) {
    const { name } = member;
    const shown = cursors.of(name);
    clearTimeout(member.timer);
    by.ask({ control: "subscribe", channel: name, id: shown }, ({ code, message, retry, data }) => {
      // It was left, and perhaps joined again, meanwhile.
      if (!isThere(member)) return;
      if (!code) {
        owed.delete(name);
        cursors.followed(name, data?.id, shown);
        return follow(member);
      }
      if (!PASSING.includes(code)) return end(name, new LiveError(code, message));
      member.timer = setTimeout(() => by === link() && ask(by, member), retry ?? USUAL_RETRY);
    });
  }

  /** An event stream has nothing but what it was asked for. @param {Link} by @param {Member} member */
  const isAsked = (by, member) => by.asked.members.includes(member) || changed();

  return {
    all,
    stagesOf,
    end,

    /** Whether each joined channel is followed that was before. */
    isWhole: () => !owed.size,

    /** Whether the page left it, and the server does not know yet. @param {string} [name] */
    isLeaving: (name = "") => leaving.includes(name),

    /** These are followed no longer, but for those that another link has, which may lack others. @param {LiveError} error @param {Member[]} [some] @param {Link} [other] */
    endAll(error, some = all(), other) {
      for (const member of some) if (isThere(member) && !other?.asked.members.includes(member)) end(member.name, error);
      if (other) for (const member of all()) isAsked(other, member);
    },

    /** @param {string} name @param {string} [position] */
    join(name, position) {
      const follower = /** @type {Follower} */ ({ stage: newStage() });
      const ready = new Promise((follow, refuse) => Object.assign(follower, { follow, refuse }));
      // Whoever does not look at it hears `closed`.
      ready.catch(() => {});
      const known = members.get(name);
      const member = known ?? { name, followers: new Set() };
      member.followers.add(follower);
      if (member.isFollowed) follower.follow();
      if (!known) {
        members.set(name, member);
        cursors.join(name, position);
        const open = link();
        if (open?.canSend()) ask(open, member);
        else if (open) changed();
      }
      return new Channel(name, follower.stage, { ready, cursor: () => cursors.of(name), leave: () => leave(member, follower) });
    },

    /** A connection was opened. @param {Link} by @param {Partial<import("./frames.js").Notice>} welcome */
    opened(by, welcome) {
      const { canSend, asked } = by;
      /** @param {Member[]} some */
      const names = (some) => some.map(({ name }) => name);
      // It was asked for before these were left: what it tells of them is not heard until the next.
      leaving = names(asked.members.filter((member) => !isThere(member)));
      cursors.opened(welcome.id, asked.shown, names(asked.members.filter(isThere)));
      owed = new Set(canSend() ? names(all()).filter(cursors.of) : []);
      if (leaving.length) changed();
      for (const member of all()) {
        if (canSend()) ask(by, member);
        else if (isAsked(by, member)) {
          if (welcome.channels?.includes(member.name)) follow(member);
          else end(member.name, new LiveError("no-subscribe"));
        }
      }
    },
  };
}

/** @param {Member} member */
function follow(member) {
  member.isFollowed = true;
  for (const { follow } of member.followers) follow();
}
