// Programs that tests start beside a server: each in a directory that goes with it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { until } from "./until.mjs";

/**
 * Starts one, and waits until it `isReady(child)`, which is `what` it then does. Answers how to `stop()` it, with which its directory is gone; so is it where it
 * does not get ready.
 */
export async function startProgram(program, args, { directory, isReady, what, ...options }) {
  const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said = (said + text).slice(-10_000)));
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const closed = once(child, "close").finally(() => process.removeListener("exit", kill));
  const stop = async () => {
    kill();
    await closed;
    await rm(directory, { recursive: true });
  };
  try {
    await until(() => isReady(child), () => `${what}; it said: ${said}`);
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}
