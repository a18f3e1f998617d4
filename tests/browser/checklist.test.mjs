// Types the lines of docs/checklist.md as they stand there, with the addresses of examples in place of the reader's, and holds what they
// say to what the document says. Each has a server to itself, and all run at once: one of them takes 80 seconds.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { buildExample, buildTimeout, startExample } from "./server.mjs";

const timeout = 150_000;
const document = await readFile(new URL("../../docs/checklist.md", import.meta.url), "utf8");
const blocks = [...document.matchAll(/^```(sh|text)\n([^]*?\n)```$/gm)].map(([, language, text]) => ({ language, text }));
const [setup, ...checks] = blocks;

/** The words in bold that stand in front of each check. */
const titles = [...document.matchAll(/^\*\*([^*]+)\*\*[^]*?^```sh$/gm)].map(([, title]) => title);

// Each server that runs is to be ended with us.
process.setMaxListeners(2 * titles.length + 10);

describe("docs/checklist.md", { concurrency: true }, () => {
  let overHttp2, directory;
  before(async () => Promise.all([buildExample("hello"), buildExample("tls-h2")]), { timeout: buildTimeout });
  before(async () => {
    overHttp2 = await startExample("tls-h2");
    directory = await mkdtemp(join(tmpdir(), "dualcast-"));
  });
  after(async () => {
    await overHttp2?.stop();
    if (directory) await rm(directory, { recursive: true });
  });

  it("has an answer behind each line, and a title before it", () => {
    assert.equal(setup.language, "sh");
    assert.deepEqual(checks.map(({ language }) => language), titles.flatMap(() => ["sh", "text"]));
    assert.ok(titles.length >= 12);
  });

  for (const [index, title] of titles.entries()) {
    it(title, { timeout }, async () => {
      const [{ text: line }, { text: answer }] = checks.slice(2 * index, 2 * index + 2);
      const hello = await startExample("hello");
      try {
        const before = at(at(setup.text, "127.0.0.1:3000", hello), "127.0.0.1:3443", overHttp2);
        // An own place for each, since lines may write a file. The shell ends with what its last command says, which is no matter.
        const cwd = await mkdtemp(join(directory, "line-"));
        const said = await promisify(execFile)("bash", ["-c", `${before}${line}true`], { cwd });
        assert.match(said.stdout.replaceAll("\r", ""), pattern(answer));
      } finally {
        await hello.stop();
      }
    });
  }
});

function at(text, address, server) {
  assert.ok(text.includes(address), address);
  return text.replaceAll(address, new URL(server.url).host);
}

/** What an answer allows for: `…` is anything within a line. */
function pattern(answer) {
  const parts = answer.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}
