// What became of the messages of a pane: facts, and a verdict in words. It sees numbers, times and notices, and no page.
//
// Every message bears a number `n` that the example gave it: 1, 2, 3 in the order of the log. So the ledger needs to believe
// nobody: a number that is skipped was missed, and either a gap has said so or something is wrong; a number that does not rise
// came twice. And where no number came it does not say "none lost". Times are milliseconds of the server's clock.

import { messages, number, seconds } from "./words.mjs";

/** A stream without heartbeats that has said nothing for so long has told all that was waiting, as far as one can know. */
const patience = 1_000;

/** Who looks again after so long was asleep, and has not heard a silence. */
const nap = 1_500;

const reasons = {
  trimmed: "trimmed",
  slow: "skipped, since this pane was too slow",
  epoch: "the server restarted, and its log began anew",
  unreadable: "the cursor made no sense to the server",
  unavailable: "they could not be read in time",
};

export class Ledger {
  messages = 0;
  reconnects = 0;
  gaps = 0;
  /** Missed without a word. */
  lost = 0;
  doubled = 0;
  /** How many messages came after interruptions, by the count of a client that counts them itself. */
  recoveredCount = null;
  /** The last id, with which the pane comes back. */
  cursor = null;
  /** @type {{ tone: "good" | "waiting" | "gap" | "quiet" | "wrong", text: string }} */
  verdict = { tone: "waiting", text: "connecting" };

  /** The number of the last message. */
  #last = null;
  /** What is going on and will end with a verdict. */
  #episode = { kind: "first" };
  /** The reason of a gap that was told, until the next message shows how large it is. */
  #gap = null;
  #isOpen = false;
  /** How many messages came since the client owes a word that all is there again, and whether it does. Behind a gap that is unknown. */
  #owed = { isDue: false, count: 0 };
  /** What a client says that is not so. */
  #untruth = null;
  #interval = 2_000;
  #hasHeartbeats = true;
  /** Somebody else minds silences. */
  #isMinded = false;
  #heardAt = 0;
  #tickedAt = 0;
  #awakeSince = 0;
  #isSilent = false;
  /** The burst that was told of last. */
  #burst = null;

  get isOpen() {
    return this.#isOpen;
  }

  /** When the last sign of life came. */
  get heardAt() {
    return this.#heardAt;
  }

  /** How many messages are wrong: lost or doubled. */
  get wrong() {
    return this.lost + this.doubled;
  }

  /** Leaves on purpose, to come back with the cursor. `words` says how it came back, `waiting` why it is away. */
  leave(at, { words, waiting }) {
    this.#isOpen = false;
    this.#owed.isDue = false;
    this.#episode = { kind: "left", words: () => words };
    this.#say("waiting", waiting);
  }

  /** The connection is gone; given up by its client, where that heard nothing any more. */
  lose(at, { isSilent = false } = {}) {
    // An attempt to come back that failed is no loss of its own.
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const how = isSilent ? "gave up a silent connection, back after" : "reconnected after";
    this.#episode = { kind: "lost", words: (openedAt) => `${how} ${seconds(openedAt - at)}` };
    this.#say("waiting", `the connection is ${isSilent ? "silent, and given up" : "lost, and comes back by itself"}`);
  }

  /**
   * The server's first word on a connection, `over` another transport, where it is another. Without an `interval` the client hears the
   * heartbeats itself, and gives up what is silent.
   */
  open(at, { id, interval, over }) {
    this.#isOpen = true;
    if (!this.#owed.isDue) this.#owed = { isDue: this.cursor !== null, count: 0 };
    this.#hear(at, id);
    this.#isMinded = interval === undefined;
    // Longer than anybody waits is never.
    this.#hasHeartbeats = interval < 3_600_000;
    if (this.#hasHeartbeats) this.#interval = interval;
    const { kind, words } = this.#episode ?? {};
    if (kind === "lost") this.reconnects++;
    const how = kind === "lost" && over ? `${words(at)} over ${over}` : words?.(at);
    this.#episode = { kind: "opened", isFirst: kind === "first", words: how, openedAt: at, replayed: 0, counted: 0 };
  }

  /** Another connection took over before the one before it was gone. */
  move(at, { id, words }) {
    this.#hear(at, id);
    this.#episode = { kind: "opened", isFirst: false, words, openedAt: at, replayed: 0, counted: 0 };
  }

  /** The client says that all is there again, and how many messages that were. It is not believed, either. */
  recover(at, { id, count }) {
    this.#hear(at, id);
    this.recoveredCount += count;
    const { count: came } = this.#owed;
    this.#owed.isDue = false;
    if (came !== null && count !== came) {
      this.#untruth ??= `THE CLIENT SAYS ${messages(count)}, and ${number(came)} came`;
      this.#say("wrong", "");
    }
    this.#settle();
  }

  /** Stops reading, for so many seconds from some moment between these two on. */
  hold(askedAt, answeredAt, time) {
    const heldAt = this.#episode?.kind === "held" ? this.#episode.heldAt : askedAt;
    // What comes sooner was on its way already.
    const countFrom = askedAt + time * 1_000 - 500;
    this.#episode = { kind: "held", heldAt, countFrom, until: answeredAt + time * 1_000, count: 0 };
    this.#say("waiting", `reads nothing for ${time} s; its cursor stays where it is`);
  }

  /** A message, with what it bears: its number `n`, and when it was published. */
  message(at, { id, event, data: { n, at: publishedAt, first, last } }) {
    this.messages++;
    if (this.#owed.count !== null) this.#owed.count++;
    this.#hear(at, id);
    const isBehindGap = this.#gap !== null;
    this.#count(n);
    // How large a gap was is all there is to say now.
    if (isBehindGap) this.#episode = null;
    const episode = this.#episode;
    if (episode?.kind === "opened") {
      episode.counted++;
      if (publishedAt < episode.openedAt) episode.replayed++;
      else this.#settle();
    } else if (episode?.kind === "held" && at > episode.countFrom) {
      episode.readAt ??= at;
      if (publishedAt < episode.readAt) episode.count++;
      else this.#settle();
    }
    if (event === "burst") this.#countBurst(at, publishedAt, n, { first, last });
  }

  /** There is nothing more to tell up to here: the server says so only when that is true. */
  heartbeat(at, { id }) {
    this.#hear(at, id);
    const { kind, readAt, until } = this.#episode ?? {};
    // Heartbeats pile up, too, while nothing is read.
    if (kind !== "held" || readAt || at > until + patience) this.#settle();
  }

  /** Messages are missing, and it is said. */
  gap(at, { id, reason }) {
    this.#hear(at, id);
    this.gaps++;
    this.#owed.count = null;
    this.#gap = reason;
    this.#episode = null;
    // The numbers begin anew with the log.
    if (reason === "epoch") this.#last = this.#burst = null;
    this.#sayGap();
  }

  /** Time passes. To be called many times a second. */
  tick(at) {
    if (at - this.#tickedAt > nap) this.#awakeSince = at;
    this.#tickedAt = at;
    if (!this.#isOpen) return;
    const until = this.#episode?.kind === "held" ? this.#episode.until : 0;
    const silence = at - Math.max(this.#heardAt, this.#awakeSince, until);
    if (!this.#hasHeartbeats && silence > patience) this.#settle();
    if (!this.#isMinded && !this.#isSilent && silence > 2 * this.#interval) {
      this.#isSilent = true;
      const time = `nothing for more than ${seconds(2 * this.#interval)}`;
      this.#say(
        "quiet",
        this.#hasHeartbeats
          ? `${time}, though a heartbeat is due every ${seconds(this.#interval)}: a stalled or dead link`
          : `${time}, and no heartbeats: nothing tells this silence from a dead link`,
      );
    }
  }

  #hear(at, id) {
    if (this.#isSilent) this.#say("good", `heard again, after ${seconds(at - this.#heardAt)} of silence`);
    this.#isSilent = false;
    this.#heardAt = at;
    this.cursor = id ?? this.cursor;
  }

  #count(n) {
    const missed = this.#last === null ? null : n - this.#last - 1;
    if (missed < 0) {
      this.doubled++;
      this.#say("wrong", "");
      return;
    }
    this.#last = n;
    if (this.#gap !== null) {
      this.#sayGap(missed);
      this.#gap = null;
    } else if (missed > 0) {
      this.lost += missed;
      this.#say("wrong", "");
    }
  }

  #countBurst(at, publishedAt, n, { first, last }) {
    if (this.#burst?.first !== first) this.#burst = { first, count: 0, beganAt: publishedAt };
    this.#burst.count++;
    const isWhole = this.#burst.count === last - first + 1;
    if (n === last && isWhole && this.#episode === null) {
      const time = seconds(at - this.#burst.beganAt);
      this.#say("good", `burst: ${messages(this.#burst.count)} in ${time}, none lost`);
    }
  }

  /** What was going on is over. */
  #settle() {
    const episode = this.#episode;
    this.#episode = null;
    // A gap of which the size is still to come has been told since, and matters more.
    if (episode && this.#gap !== null) return this.#sayGap();
    if (episode?.kind === "opened") {
      if (episode.isFirst) this.#say("good", "open, and counting every message from here on");
      else this.#say("good", `${episode.words}, ${became(episode)}`);
    } else if (episode?.kind === "held") {
      const time = seconds((episode.readAt ?? episode.until) - episode.heldAt);
      const then = episode.count === 0 ? "and nothing had come" : `then ${messages(episode.count)} at once, none lost`;
      this.#say("good", `read nothing for ${time}, ${then}`);
    }
  }

  /** A gap, with its size where that is known: across a restart, or with nothing before it, there is nothing to count from. */
  #sayGap(missed = null) {
    const reason = reasons[this.#gap] ?? this.#gap;
    this.#say("gap", missed === null ? `gap: ${reason}` : `gap: ${messages(missed)}, ${reason}`);
  }

  /** Once a message was lost without a word, nothing else matters here any more. */
  #say(tone, text) {
    const wrongs = [];
    if (this.lost > 0) wrongs.push(`LOST ${messages(this.lost)} without a word`);
    if (this.doubled > 0) wrongs.push(`DOUBLED ${messages(this.doubled)}`);
    if (this.#untruth !== null) wrongs.push(this.#untruth);
    this.verdict = wrongs.length > 0 ? { tone: "wrong", text: wrongs.join(", ") } : { tone, text };
  }
}

/** What became of the messages of somebody who was away. */
function became({ replayed, counted }) {
  const count = replayed === 0 ? "nothing to replay" : `${messages(replayed)} replayed`;
  return counted === 0 ? count : `${count}, none lost`;
}
