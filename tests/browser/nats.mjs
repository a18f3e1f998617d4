// A `nats-server` of one's own: on a port that is free, in a directory that goes with it.

import { existsSync } from "node:fs";
import { mkdtemp, readFile, readdir } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startProgram } from "./programs.mjs";
import { until } from "./until.mjs";

const tools = fileURLToPath(new URL("../../.tools", import.meta.url));

/** Starts one, with JetStream. Answers its `url`, what is `stored(bucket, key)` in it, and how to `stop()` it. */
export async function startNats() {
  const program = await find();
  const directory = await mkdtemp(join(tmpdir(), "dualcast-nats-"));
  const args = ["-js", "-sd", join(directory, "store"), "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", directory];
  let address;
  const stop = await startProgram(program, args, {
    directory,
    isReady: async ({ pid }) => (address = await read(join(directory, `${basename(program)}_${pid}.ports`))) !== undefined,
    what: "nats-server says where it listens",
  });
  const [url] = address.nats;
  return { url, stored: (bucket, key) => stored(url, bucket, key), stop };
}

/** The file, once it is written whole. */
async function read(ports) {
  try {
    return JSON.parse(await readFile(ports, "utf8"));
  } catch {
    return undefined;
  }
}

/** The value of a key, as text, by NATS' own protocol: no client of ours is between. */
async function stored(url, bucket, key) {
  const { hostname, port } = new URL(url);
  const socket = net.connect(port, hostname);
  let heard = Buffer.alloc(0);
  socket.on("data", (chunk) => (heard = Buffer.concat([heard, chunk])));
  try {
    const subject = `$JS.API.DIRECT.GET.KV_${bucket}.$KV.${bucket}.${key}`;
    socket.write(`CONNECT {"verbose":false,"headers":true}\r\nSUB answer 1\r\nPUB ${subject} answer 0\r\n\r\n`);
    // HMSG subject sid bytes-of-headers bytes-of-all
    const answer = () => {
      const [line, headers, all] = heard.toString("latin1").match(/^HMSG answer 1 (\d+) (\d+)\r\n/m) ?? [];
      if (!line) return undefined;
      const begin = heard.indexOf(line, 0, "latin1") + line.length;
      return heard.length < begin + Number(all) ? undefined : heard.subarray(begin + Number(headers), begin + Number(all)).toString();
    };
    await until(() => answer() !== undefined, () => `NATS tells what is in ${bucket} at ${key}; it said: ${heard}`);
    return answer();
  } finally {
    socket.destroy();
  }
}

/** The one that is named, else the one that `tests/run nats-server` has installed, else the one on the path. */
async function find() {
  if (process.env.NATS_SERVER) return process.env.NATS_SERVER;
  const installed = existsSync(tools) ? (await readdir(tools)).filter((name) => name.startsWith("nats-server-")) : [];
  const programs = installed.map((name) => join(tools, name, "bin/nats-server")).filter(existsSync);
  // Versions are ordered as numbers.
  return programs.sort(new Intl.Collator("en", { numeric: true }).compare).at(-1) ?? "nats-server";
}
