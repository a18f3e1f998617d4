// Runs the fixture, the server that the browsers are pointed at: a binary of the `dualcast-tests` crate.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const startDeadline = 10_000;
const stopDeadline = 5_000;

/**
 * Starts the fixture on a free port and waits until it says where it listens. `env` is added to its environment.
 * `DUALCAST_FIXTURE` may name a binary that is already built.
 */
export async function startFixture(env = {}) {
  const binary = process.env.DUALCAST_FIXTURE ?? (await build());
  const child = spawn(binary, {
    env: { ...process.env, ...env, ADDR: "127.0.0.1:0" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // A test file that throws must not leave its server behind.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const closed = once(child, "close").finally(() => process.removeListener("exit", kill));

  try {
    const url = await listening(child, closed);
    return { url, stop: () => stop(child, closed) };
  } catch (error) {
    kill();
    throw error;
  }
}

/** The path of the fixture, built first. Cargo says it, since its target directory may be anywhere. */
async function build() {
  const what = ["--locked", "--package=dualcast-tests", "--bin=fixture"];
  const args = ["build", ...what, "--message-format=json-render-diagnostics"];
  const { stdout } = await promisify(execFile)("cargo", args, { cwd: repository, maxBuffer: 64 << 20 });
  const messages = stdout.trim().split("\n").map((line) => JSON.parse(line));
  return messages.find((message) => message.target?.name === "fixture" && message.executable).executable;
}

/** The address from the line in which the fixture names it. What it says later goes to our own standard error. */
function listening(child, closed) {
  return new Promise((resolve, reject) => {
    let said = "";
    const fail = (what) => reject(new Error(`the fixture ${what} before it told its address; it said:\n${said}`));
    const timer = setTimeout(fail, startDeadline, `ran for ${startDeadline} ms`);
    closed.then(([code, signal]) => fail(`ended (${code ?? signal})`), reject).finally(() => clearTimeout(timer));

    let known = false;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        if (known) return console.error(`fixture: ${line}`);
        said += `${line}\n`;
        const address = line.match(/http:\/\/127\.0\.0\.1:\d+/);
        if (!address) return;
        known = true;
        clearTimeout(timer);
        resolve(address[0]);
      });
    }
  });
}

/** Ends it as an operator would, by force if it takes too long. Says how it ended: `{ code, signal }`. */
async function stop(child, closed) {
  child.kill("SIGTERM");
  const forced = setTimeout(() => child.kill("SIGKILL"), stopDeadline);
  const [code, signal] = await closed;
  clearTimeout(forced);
  return { code, signal };
}
