// `curl` as a client of event streams: run by us, or by a command line that somebody reads somewhere.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { until } from "./until.mjs";

/** Runs `curl` with these arguments, while it lasts, without its progress meter and the user's configuration. */
export function startCurl(...args) {
  return new Curl("curl", ["--disable", "--silent", "--show-error", ...args]);
}

/** What `curl` says to these arguments, once it has ended. */
export async function curl(...args) {
  const curl = startCurl(...args);
  await curl.ended();
  return curl;
}

/** Runs a command line of `curl`, while it lasts. */
export function startCommandLine(line) {
  // In place of the shell, so that whoever ends one ends the other.
  return new Curl("sh", ["-c", `exec ${line}`]);
}

class Curl {
  #child;
  #closed;
  /** The body, or whatever else it writes to its output. */
  output = "";
  /** What it tells with `--verbose`, and of errors. */
  complaints = "";

  constructor(command, args) {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#closed = once(child, "close");
    child.stdout.setEncoding("utf8").on("data", (text) => (this.output += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (this.complaints += text));
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("close", () => process.removeListener("exit", kill));
  }

  /** The events that are whole by now, with the fields of the stream as they came: `{ id, event, data }`. */
  get events() {
    // A response's head ends like an event.
    const body = this.output.replace(/^HTTP\/[^]*?\r\n\r\n/, "");
    return body.split("\n\n").slice(0, -1).map(parse);
  }

  /** The events of the application, once there are so many. */
  async messages(count) {
    const messages = () => this.events.filter(({ event }) => !event?.startsWith("dualcast:"));
    await until(() => messages().length >= count, () => `there are ${count} messages in: ${this.output}`);
    return messages();
  }

  /** The first of Dualcast's own events of this name, once it is there. */
  async notice(name) {
    const notice = () => this.events.find(({ event }) => event === `dualcast:${name}`);
    await until(notice, () => `there is a ${name} in: ${this.output}`);
    return notice();
  }

  get hasEnded() {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Its exit code, once it has ended by itself. */
  async ended() {
    try {
      await until(() => this.hasEnded, () => `curl ends; it wrote: ${this.output}`);
    } catch (error) {
      await this.kill();
      throw error;
    }
    return (await this.#closed)[0];
  }

  async kill() {
    this.#child.kill("SIGKILL");
    await this.#closed;
  }
}

/** The fields of one event (HTML standard, section 9.2.6). */
function parse(block) {
  const event = {};
  for (const line of block.split("\n")) {
    const [, name, value] = line.match(/^([^:]*):? ?([^]*)$/);
    event[name] = name in event ? `${event[name]}\n${value}` : value;
  }
  return event;
}
