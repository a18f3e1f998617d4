// `examples/completions`: the published `openai` clients of npm and PyPI read it, and who was cut goes on where it was, by
// a plain GET, on either transport.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import OpenAI, { APIError } from "openai";
import { launchers } from "./browsers.mjs";
import { startProxy } from "./proxy.mjs";
import { buildExample, buildTimeout, startExample } from "./server.mjs";

const timeout = 60_000;
const prompt = "to be or nöt to 👩‍🚀";
const count = 300;

/** More than the head of any answer here has, in bytes. */
const longestHead = 300;

/** What the model makes of the prompt: its words, over and over. */
const answer = Array.from({ length: count }, (_, index) => `${prompt.split(" ")[index % 6]} `).join("");

/** Runs the Python client, and answers what it came to. `onBegun` is called when the first piece is there. */
async function python(url, words, args = [], onBegun = () => {}) {
  const child = spawn(pythonPath(), [here("completions.py"), `${url}/v1`, prompt, String(words), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const closed = once(child, "close").finally(() => process.removeListener("exit", kill));
  let last;
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line === "begun") onBegun();
    else last = line;
  });
  const [code] = await closed;
  assert.equal(code, 0);
  return JSON.parse(last);
}

/** The same with the client for JavaScript. */
async function javascript(url, words, onBegun = () => {}) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  const heard = { text: "", reason: null, error: null };
  try {
    const stream = await client.chat.completions.create(asked(words));
    for await (const { choices } of stream) {
      if (!heard.text) onBegun();
      heard.text += choices[0].delta.content ?? "";
      heard.reason = choices[0].finish_reason;
    }
  } catch (error) {
    heard.error = { name: error.constructor.name, code: error.code ?? null, message: error.message, is: error };
  }
  return heard;
}

const clients = {
  "the client of npm": javascript,
  "the client of PyPI": (url, words, onBegun) => python(url, words, [], onBegun),
  "the asynchronous client of PyPI": (url, words, onBegun) => python(url, words, ["--async"], onBegun),
};

describe("completions", () => {
  let server;
  before(() => buildExample("completions"), { timeout: buildTimeout });
  before(async () => (server = await start()));
  after(async () => server?.stop());

  for (const [name, read] of Object.entries(clients)) {
    it(`are read to their end by ${name}`, { timeout }, async () => {
      assert.deepEqual(await read(server.url, count), { text: answer, reason: "stop", error: null });
    });

    it(`make ${name} fail, and not end early, when the server goes`, { timeout }, async () => {
      const going = await start();
      const { reason, error } = await read(going.url, 4_000, () => going.stop("SIGINT"));
      assert.equal(reason, null);
      assert.ok(error, "it is told");
      assert.deepEqual([error.code, error.message], ["shutdown", "the server restarts, come back"]);
    });

    it(`make ${name} fail, and not end early, when it is cut`, { timeout }, async () => {
      const network = await startProxy(server.port);
      try {
        const { reason, error } = await read(network.url, 4_000, () => network.cut());
        assert.ok(reason === null && error !== null);
      } finally {
        await network.close();
      }
    });
  }

  it("are refused in words that these clients read", { timeout }, async () => {
    const { error } = await javascript(server.url, 4_001);
    assert.ok(error.is instanceof APIError);
    assert.deepEqual([error.is.status, error.code], [400, "too_long"]);
    assert.equal((await python(server.url, 4_001)).error.code, "too_long");
    const unknown = await fetch(`${server.url}/v1/streams/run.unknown`);
    assert.equal(unknown.status, 404);
    assert.equal((await unknown.json()).error.code, "no_such_run");
  });

  it("go on without their client, and are there from their start when it comes back", { timeout }, async () => {
    const abort = new AbortController();
    const response = await post(server.url, count, abort.signal);
    const channel = response.headers.get("dualcast-channel");
    abort.abort();
    const heard = new Heard();
    await heard.read(await fetch(`${server.url}/v1/streams/${channel}`));
    assert.deepEqual([heard.text, heard.isDone], [answer, true]);
    assert.equal(new Set(heard.ids).size, heard.ids.length);

    const again = await fetch(`${server.url}/v1/streams/${channel}`, { headers: { "Last-Event-ID": heard.ids.at(-1) } });
    assert.equal(again.status, 204, "nothing is left");
  });

  // In the head, in the first block, and further on wherever that is in a message, in a character and in the last block.
  for (const bytes of [50, 330, 1_000, 3_333, 9_999]) {
    it(`that are cut after ${bytes} bytes, and again after ever more, are whole in the end`, { timeout }, async () => {
      const network = await startProxy(server.port);
      try {
        const heard = new Heard();
        // The head of this one has to arrive, or nobody knows where to go on.
        network.cutNextAfter(longestHead + bytes);
        const response = await post(network.url, count);
        const channel = response.headers.get("dualcast-channel");
        await heard.read(response);
        assert.ok(!heard.isDone, "it was cut");
        for (let attempt = 1; !heard.isDone; attempt += 1) {
          const headers = heard.ids.length ? { "Last-Event-ID": heard.ids.at(-1) } : {};
          // A stream that brings less than a message before each cut would never get on.
          network.cutNextAfter(bytes * attempt ** 2);
          await heard.read(await fetch(`${network.url}/v1/streams/${channel}`, { headers }).catch(() => null));
        }
        assert.equal(heard.text, answer);
        assert.equal(new Set(heard.ids).size, heard.ids.length, "nothing came twice");
      } finally {
        await network.close();
      }
    });
  }

  for (const [name, launch] of Object.entries(launchers)) {
    it(`go on in ${name} over WebSocket, and then over EventSource`, { timeout }, async () => {
      const browser = await launch();
      try {
        const page = await browser.newPage(server.url);
        const { parts, ids, states } = await page.evaluate(inPage, asked(count));
        assert.equal(parts.join(""), answer);
        assert.ok(parts.every((part) => part.length > 0), "each had a part of it");
        assert.equal(new Set(ids).size, ids.length, "nothing came twice");
        // EventSource.CLOSED: whoever comes back and has all is answered 204.
        assert.deepEqual(states, [2]);
        await page.close();
      } finally {
        await browser.close();
      }
    });
  }
});

/** In a page: a third of the answer by `fetch`, a third by `WebSocket`, and the rest by `EventSource`. */
async function inPage(asked) {
  const parts = ["", "", ""];
  const ids = [];
  const states = [];
  const take = (part, id, data) => {
    ids.push(id);
    parts[part] += data.choices?.[0].delta.content ?? "";
  };

  const abort = new AbortController();
  const body = JSON.stringify(asked);
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("/v1/chat/completions", { method: "POST", headers, body, signal: abort.signal });
  const channel = response.headers.get("dualcast-channel");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ids.length < asked.max_tokens / 3; ) {
    text += (await reader.read()).value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      // What else came with it is for the next.
      if (ids.length === asked.max_tokens / 3) break;
      take(0, /^id: (.*)$/m.exec(block)[1], JSON.parse(/^data: (.*)$/m.exec(block)[1]));
    }
  }
  abort.abort();

  const address = new URL(`/v1/streams/${channel}/ws?last-event-id=${ids.at(-1)}`, location);
  address.protocol = "ws:";
  const socket = new WebSocket(address);
  await new Promise((resolve, reject) => {
    socket.onerror = () => reject(new Error("no WebSocket"));
    socket.onmessage = ({ data }) => {
      const { control, id, data: chunk } = JSON.parse(data);
      if (control) return;
      take(1, id, chunk);
      if (ids.length < (asked.max_tokens * 2) / 3) return;
      socket.onmessage = null;
      socket.close();
      resolve();
    };
  });

  const source = new EventSource(`/v1/streams/${channel}?last-event-id=${ids.at(-1)}`);
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`not closed; ${ids.length} messages`)), 20_000);
    source.onmessage = ({ data, lastEventId }) => data !== "[DONE]" && take(2, lastEventId, JSON.parse(data));
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return;
      states.push(source.readyState);
      resolve();
    };
  });
  return { parts, ids, states };
}

/** What a reader of events has, over as many responses as it takes. */
class Heard {
  text = "";
  ids = [];
  isDone = false;

  /** Reads a response to its end, or up to where it is cut: half a block is no event. */
  async read(response) {
    const decoder = new TextDecoder();
    let pending = "";
    try {
      for await (const piece of response?.body ?? []) {
        pending += decoder.decode(piece, { stream: true });
        const blocks = pending.split("\n\n");
        pending = blocks.pop();
        for (const block of blocks) this.#take(block);
      }
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
    }
  }

  #take(block) {
    const [, data] = /^data: (.*)$/m.exec(block);
    this.ids.push(/^id: (.*)$/m.exec(block)[1]);
    if (data === "[DONE]") this.isDone = true;
    else this.text += JSON.parse(data).choices[0].delta.content ?? "";
  }
}

function asked(words) {
  return { model: "parrot", stream: true, max_tokens: words, messages: [{ role: "user", content: prompt }] };
}

function post(url, words, signal) {
  const headers = { "Content-Type": "application/json" };
  return fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body: JSON.stringify(asked(words)), signal });
}

function start() {
  return startExample("completions", { env: { PACE_MS: "1" } });
}

function here(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

function pythonPath() {
  const version = readFileSync(here("requirements.txt"), "utf8").match(/^openai==(.*)$/m)[1];
  const path = here(`../../.tools/openai-${version}/bin/python`);
  assert.ok(existsSync(path), "no `openai` for Python; `tests/run browsers` installs it");
  return path;
}
