// Runs the servers that the clients are pointed at: the fixture, a binary of the `dualcast-tests` crate, and examples.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { until } from "./until.mjs";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const startDeadline = 30_000;
const stopDeadline = 30_000;

/** How long a build may take, in milliseconds: the first one compiles everything. */
export const buildTimeout = 10 * 60_000;

// Whoever ends the tests early must not leave a server behind: ending in order, we take it with us.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/**
 * Starts the fixture on a port that is free, or on this one, and waits until it says where it listens. `limits`, such as
 * `{ max_sessions: 1 }`, are those of its hub.
 */
export async function startFixture({ port = 0, limits = {}, env: more = {} } = {}) {
  const env = { LIMITS: Object.entries(limits).map(([name, value]) => `${name}=${value}`).join(), ...more };
  return start(Fixture, await buildFixture(), { port, env });
}

/** Builds the fixture, unless `DUALCAST_FIXTURE` names one. From then on it starts in no time. */
export async function buildFixture() {
  return process.env.DUALCAST_FIXTURE ?? build("dualcast-tests", "fixture");
}

/** Starts an example on a port that is free, or on this one, with more environment variables or none. */
export async function startExample(name, { port = 0, env = {} } = {}) {
  return start(Server, await buildExample(name), { port, env });
}

/** Builds an example, so that the line that runs it has nothing left to compile. */
export async function buildExample(name) {
  return build(name, name);
}

/** Starts a server on a free port by a command line, in the repository's root. */
export async function startByCommandLine(line) {
  // In place of the shell, so that whoever ends one ends the other. `cargo run` does the same.
  return start(Server, "sh", { args: ["-c", `exec ${line}`] });
}

/** A process that listens. */
class Server {
  #child;
  #closed;

  constructor(child, closed, url) {
    this.#child = child;
    this.#closed = closed;
    this.url = url;
  }

  get port() {
    return Number(new URL(this.url).port);
  }

  /** Ends it as an operator would, by force if it takes too long. Says how it ended: `{ code, signal }`. */
  async stop(signal = "SIGTERM") {
    this.#child.kill(signal);
    const forced = setTimeout(() => this.#child.kill("SIGKILL"), stopDeadline);
    const [code, killedBy] = await this.#closed;
    clearTimeout(forced);
    return { code, signal: killedBy };
  }
}

/** The fixture, with the routes by which a test acts on it and looks into it. */
class Fixture extends Server {
  /** Publishes a text and answers its id. `as` is the kind of message: `json`, `binary` or `volatile`. */
  async publish(channel, body, { event = "message", as } = {}) {
    return this.#post(as ? `/publish-${as}` : "/publish", { channel, event }, body);
  }

  /** Publishes texts one after another, and answers their ids. */
  async publishAll(channel, texts) {
    const ids = [];
    for (const text of texts) ids.push(await this.publish(channel, text));
    return ids;
  }

  /** Publishes so many texts, `1`, `2` and on, without a pause. */
  async publishBurst(channel, count) {
    return this.#post("/publish-burst", { channel }, String(count));
  }

  /** Publishes all the time, some two hundred texts a second, until it is told to stop. Then it answers their ids. */
  keepPublishing(channel) {
    let isStopped = false;
    const publish = async () => {
      const ids = [];
      for (; !isStopped; await sleep(5)) ids.push(await this.publish(channel, String(ids.length + 1)));
      return ids;
    };
    const published = publish();
    // A test that fails stops the server first; that is told to whoever asks for the ids.
    published.catch(() => {});
    return {
      stop() {
        isStopped = true;
        return published;
      },
    };
  }

  async finish(channel) {
    return this.#post("/finish", { channel });
  }

  /** Takes back the right to follow a channel from all who may join channels. */
  async revoke(channel) {
    return this.#post("/revoke", { channel });
  }

  /** How many sessions and channels there are, where the head is, and how many follow the channels asked about. */
  async state(...channels) {
    return (await this.#ask(`/state?channels=${channels}`)).json();
  }

  /** Every request for `/sse`, `/ws` and `/say` so far, with what it bore and how it was answered. */
  async requests(path) {
    const requests = await (await this.#ask("/requests")).json();
    return path ? requests.filter((request) => request.path === path) : requests;
  }

  /** Waits until every client is gone, and with it all that it took. */
  async idle() {
    await until(async () => (await this.state()).sessions === 0, () => "no session is open");
  }

  async #post(path, query, body) {
    return (await this.#ask(`${path}?${new URLSearchParams(query)}`, { method: "POST", body })).text();
  }

  async #ask(path, init) {
    const response = await fetch(this.url + path, init);
    assert.ok(response.ok, `${path}: ${response.status}`);
    return response;
  }
}

async function start(kind, command, { args = [], port = 0, env = {} } = {}) {
  const child = spawn(command, args, {
    cwd: repository,
    env: { ...process.env, ...env, ADDR: `127.0.0.1:${port}` },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // A test file that throws must not leave its server behind.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const closed = once(child, "close").finally(() => process.removeListener("exit", kill));

  try {
    return new kind(child, closed, await listening(command, child, closed));
  } catch (error) {
    kill();
    throw error;
  }
}

const builds = new Map();

/** The path of a binary, built first. Cargo says it, since its target directory may be anywhere. */
function build(crate, name) {
  if (!builds.has(name)) builds.set(name, buildNow(crate, name));
  return builds.get(name);
}

async function buildNow(crate, name) {
  const args = ["build", "--locked", `--package=${crate}`, `--bin=${name}`, "--message-format=json-render-diagnostics"];
  const { stdout } = await promisify(execFile)("cargo", args, { cwd: repository, maxBuffer: 64 << 20 });
  const messages = stdout.trim().split("\n").map((line) => JSON.parse(line));
  return messages.find((message) => message.target?.name === name && message.executable).executable;
}

/** The address from the line in which a server names it. What it says later goes to our own standard error. */
function listening(command, child, closed) {
  return new Promise((resolve, reject) => {
    let said = "";
    const fail = (what) => reject(new Error(`${command} ${what} before it told its address; it said:\n${said}`));
    const timer = setTimeout(fail, startDeadline, `ran for ${startDeadline} ms`);
    closed.then(([code, signal]) => fail(`ended (${code ?? signal})`), reject).finally(() => clearTimeout(timer));

    let known = false;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        if (known) return console.error(`${command}: ${line}`);
        said += `${line}\n`;
        const address = line.match(/https?:\/\/127\.0\.0\.1:\d+/);
        if (!address) return;
        known = true;
        clearTimeout(timer);
        resolve(address[0]);
      });
    }
  });
}
