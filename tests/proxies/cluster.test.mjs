// `examples/cluster`, as `just cluster` starts it: two nodes behind HAProxy, over NATS, between which clients are moved.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { buildExample, buildTimeout } from "../browser/server.mjs";

const timeout = 90_000;
const example = (name) => fileURLToPath(new URL(`../../examples/cluster/${name}`, import.meta.url));

describe("two nodes behind a balancer", () => {
  let cluster;
  before(() => buildExample("cluster"), { timeout: buildTimeout });
  before(async () => (cluster = await startCluster()), { timeout });
  after(() => cluster?.stop());

  for (const [way, urls] of [
    ["by the balancer", () => [cluster.balancer]],
    ["by the nodes in turn", () => cluster.nodes],
  ]) {
    it(`lose nothing for clients that are moved ${way}`, { timeout }, async () => {
      const { code, lines } = await run("moved.py", urls());
      const summaries = lines.filter((line) => line.includes(" messages from "));
      assert.equal(summaries.length, 2, lines.join("\n"));
      for (const summary of summaries) {
        assert.match(summary, /: 1000 messages from 2 nodes in \d+ connections: missing 0, twice 0, gaps 0, in order$/);
      }
      assert.equal(code, 0);
    });
  }

  it("say that they are ready, also by the balancer", { timeout }, async () => {
    for (const url of [cluster.balancer, ...cluster.nodes]) {
      const response = await fetch(`${url}/health/ready`);
      assert.deepEqual([response.status, await response.json()], [200, { ready: true, degraded: null }]);
    }
  });

  it("end with whoever started them, and leave nothing behind", { timeout }, async () => {
    assert.equal(await cluster.stop(), 0);
    for (const url of [cluster.balancer, ...cluster.nodes, cluster.nats]) {
      assert.equal(await accepts(new URL(url).port), false, `${url} is gone`);
    }
  });
});

/** Starts it on ports that are free, and waits until it says that all of it runs. */
async function startCluster() {
  const child = spawn(example("run.py"), ["0", "0", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const kill = () => child.kill("SIGTERM");
  process.once("exit", kill);
  const closed = once(child, "close").finally(() => process.removeListener("exit", kill));
  const said = {};
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name, url] = line.match(/^(.*?): +((?:http|nats):.*)$/) ?? [];
    if (name) said[name] = url;
    if (line.startsWith("all of it runs")) break;
  }
  assert.ok(said.balancer, `it says where it is: ${JSON.stringify(said)}`);
  const stop = async () => {
    kill();
    return (await closed)[0];
  };
  return { balancer: said.balancer, nodes: [said["node 1"], said["node 2"]], nats: said.NATS, stop };
}

/** Runs a script of the example to its end. */
async function run(name, args) {
  const child = spawn(example(name), args, { stdio: ["ignore", "pipe", "inherit"] });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const closed = once(child, "close").finally(() => process.removeListener("exit", kill));
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) lines.push(line);
  const [code] = await closed;
  return { code, lines };
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => resolve(true) || socket.destroy());
    socket.on("error", () => resolve(false));
  });
}
