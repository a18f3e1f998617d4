// Does what README.md tells a newcomer to do, by its own words: the sections "Try it", "See the transports side by side" and "Try it by
// hand", line by line, with another port.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { launchers } from "./browsers.mjs";
import { startCommandLine } from "./curl.mjs";
import { buildExample, buildTimeout, startByCommandLine } from "./server.mjs";
import { openSideBySide } from "./side-by-side.mjs";
import { until } from "./until.mjs";

const timeout = 60_000;
const first = await readSection("Try it");
const [runFirst] = blocks(first, ["sh"]);
const second = await readSection("See the transports side by side");
const [runSecond] = blocks(second, ["sh"]);
const byHand = await readSection("Try it by hand");
const [run, follow, publish, open, comeBack, openAgain] = blocks(byHand, ["sh", "sh", "sh", "js", "sh", "js"]);

before(async () => Promise.all(["whiteboard", "side-by-side", "hello"].map(buildExample)), { timeout: buildTimeout });

for (const [name, launch] of Object.entries(launchers)) {
  describe(`README.md, with ${name}`, () => {
    let browser, whiteboard, sideBySide, hello, page;
    before(async () => (browser = await launch()), { timeout });
    after(async () => {
      await browser?.close();
      await whiteboard?.stop();
      await sideBySide?.stop();
      await hello?.stop();
    });

    it("has a board made, and opened in a second window", { timeout }, async () => {
      whiteboard = await startByCommandLine(`${runFirst} -- --data ${await newFile()}`);
      const pages = [await browser.newPage(at(whiteboard, place(first)))];
      await pages[0].evaluate(() => document.querySelector("#new").click());
      const address = () => (globalThis.whiteboard?.live.state.status === "open" ? location.href : "");
      // Between two pages there is none to ask.
      const board = () => pages[0].evaluate(address).catch(() => "");
      await until(async () => (await board()).includes("/b/"), () => "a new board is open");
      pages.push(await browser.newPage(await board()));
      for (const page of pages) {
        const here = () => page.evaluate(() => globalThis.whiteboard?.people.count).catch(() => undefined);
        // One person or two, as the windows share what the browser keeps or don't.
        await until(async () => (await here()) >= 1, () => "both windows know who is there");
      }
      assert.deepEqual(await whiteboard.stop("SIGINT"), { code: 0, signal: null });
    });

    it("shows both transports side by side", { timeout }, async () => {
      sideBySide = await startByCommandLine(runSecond);
      const page = await openSideBySide(browser, at(sideBySide, place(second)));
      await page.close();
      assert.deepEqual(await sideBySide.stop("SIGINT"), { code: 0, signal: null });
    });

    it("shows how to follow a channel, be cut and come back", { timeout }, async () => {
      hello = await startByCommandLine(run);
      const byCurl = startCommandLine(at(hello, follow));
      await byCurl.notice("heartbeat");
      page = await browser.newPage(at(hello, place(byHand)));
      await type(open);
      await lines(1);

      const id = await published();
      assert.deepEqual(await byCurl.messages(1), [{ id, data: "hello" }]);
      const message = JSON.parse((await lines(2))[1]);
      assert.deepEqual(message, { id, event: "message", data: "hello" });

      await byCurl.kill();
      await page.evaluate(() => ws.close());
      const missed = await published();
      const again = startCommandLine(at(hello, comeBack, id));
      assert.deepEqual(await again.messages(1), [{ id: missed, data: "hello" }]);
      await type(openAgain, id);
      assert.equal(JSON.parse((await lines(2))[1]).id, missed);

      assert.deepEqual(await hello.stop("SIGINT"), { code: 0, signal: null });
      assert.equal(await again.ended(), 0);
      hello = await startByCommandLine(run);
      const late = startCommandLine(at(hello, comeBack, id));
      assert.equal(JSON.parse((await late.notice("gap")).data).reason, "epoch");
      await late.kill();
      page = await browser.newPage(at(hello, place(byHand)));
      await type(openAgain, id);
      assert.equal(JSON.parse((await lines(2))[1]).reason, "epoch");
    });

    /** Types a line into the page's console, and notes what appears there. */
    async function type(line, id) {
      const text = at(hello, line, id);
      const typed = (text) => {
        globalThis.lines = [];
        console.log = (line) => lines.push(line);
        // Not a function's own: what a line declares stays.
        (0, eval)(text);
      };
      await page.evaluate(typed, text);
    }

    /** What the console shows, once it shows so many lines. */
    async function lines(count) {
      let shown = [];
      const isShown = async () => (shown = await page.evaluate(() => lines)).length >= count;
      await until(isShown, () => `the console shows ${count} lines; it shows ${JSON.stringify(shown)}`);
      return shown;
    }

    /** The id under which the line publishes. */
    async function published() {
      const publishing = startCommandLine(at(hello, publish));
      assert.equal(await publishing.ended(), 0);
      return publishing.output.trim();
    }
  });
}

/** A file that nobody else has. */
async function newFile() {
  const directory = await mkdtemp(join(tmpdir(), "dualcast-"));
  after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, "boards.redb");
}

/** A line as a reader would type it, whose server has this address and who saw this id last. */
function at(server, line, id) {
  return line.replaceAll("127.0.0.1:3000", new URL(server.url).host).replaceAll("PASTE-THE-ID", id);
}

async function readSection(title) {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  return readme.split(/^## /m).find((section) => section.startsWith(`${title}\n`));
}

/** Where the section says to point a browser. */
function place(section) {
  return section.match(/<(http:[^>]+)>/)[1];
}

/** The code in the section, which is expected to be in these languages. */
function blocks(section, languages) {
  const found = [...section.matchAll(/^```(\w+)\n([^]*?)\n```$/gm)];
  const inLanguages = found.map(([, language]) => language);
  assert.deepEqual(inLanguages, languages, "this test knows the lines of README.md by their order");
  return found.map(([, , code]) => code);
}
