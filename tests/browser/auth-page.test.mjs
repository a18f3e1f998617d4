// The page of `examples/auth` in real browsers: each way to log in with what a browser can send, over each transport.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { fetchToken, stranger } from "./auth.mjs";
import { findHindrances } from "./axe.mjs";
import { launchers } from "./browsers.mjs";
import { startProxy } from "./proxy.mjs";
import { buildExample, buildTimeout, startExample } from "./server.mjs";
import { until } from "./until.mjs";

const timeout = 60_000;

/**
 * By how much the page's timers run ahead of the server's, where it is told to hurry: it has a new token long before the old one runs out,
 * however busy the machine is. It is due after four fifths of its time, so by the sixth the first one is over.
 */
const haste = 4;
const ways = ["cookie", "token", "ticket"];
const transports = ["sse", "ws"];

before(async () => buildExample("auth"), { timeout: buildTimeout });

for (const [name, launch] of Object.entries(launchers)) {
  describe(`auth, in ${name}`, () => {
    let browser;
    before(async () => (browser = await launch()), { timeout });
    after(async () => browser?.close());

    /** A test with a server, a network and a page of its own. */
    const test = (title, body, { lifetime = 300 } = {}) =>
      it(title, { timeout }, async () => {
        const server = await startExample("auth", { env: { LIFETIME_SECONDS: `${lifetime}` } });
        const network = await startProxy(server.port);
        const page = new AuthPage(await browser.newPage(network.url));
        try {
          // The browser keeps the cookie of the test before: cookies know no ports.
          await page.forget();
          await body(page, { server, network, url: server.url });
          await page.close();
          assert.deepEqual(await server.stop("SIGINT"), { code: 0, signal: null });
        } finally {
          await page.close();
          await network.close();
          await server.stop();
        }
      });

    for (const way of ways) {
      for (const transport of transports) {
        test(`logs in by ${way}, listens over ${transport}, speaks, is cut and comes back`, async (page, { url, network }) => {
          // Else it may wait for seven seconds before it comes back.
          await page.hurry();
          await page.logIn("alice", way);
          await page.shows("user", new RegExp(`^You are alice, by ${way === "ticket" ? "cookie and ticket" : way}\\.`));
          await page.connect(transport, "staff");
          await page.say("one");
          await page.shows("answer", /^Said, as [0-9a-z-]+\.$/);
          await page.hears(/alice: one/);
          network.cut();
          const root = stranger(url, { headers: { Authorization: `Bearer ${await fetchToken(url, "root")}` } });
          await root.say("staff", { event: "note", data: "two" });
          await page.hears(/root: two/);
          await page.shows("renewals", /^[1-9]/);
          await page.say("three");
          await page.hears(/alice: three/);
          assert.deepEqual((await page.heard()).map((line) => line.split(" ").slice(0, 2).join(" ")), ["alice: one", "root: two", "alice: three"]);
          await page.leave();
        });
      }
    }

    for (const transport of transports) {
      test(`says why it is refused over ${transport}`, async (page) => {
        await page.connect(transport, "lobby", /^Refused: log in, .* \(401, unauthenticated\)$/);
        await page.logIn("bob", "cookie");
        await page.shows("user", /^You are bob/);
        await page.connect(transport, "staff", /^Refused: you are not a member of staff\.$/);
        await page.say("x");
        await page.shows("answer", /\(403, forbidden\)$/);
        await page.connect(transport, "lobby");
      });

      test(`ends with the logout over ${transport}`, async (page) => {
        await page.logIn("alice", "cookie");
        await page.shows("user", /^You are alice/);
        await page.connect(transport, "lobby");
        await page.press("logout");
        await page.shows("user", /^Nobody/);
        await page.shows("state", /^Ended: .* \(disconnected\)$/);
        await page.connect(transport, "lobby", /^Refused: .*401/);
      });

      test(`stays longer than a token over ${transport}`, async (page, { url }) => {
        await page.hurry();
        await page.logIn("alice", "token");
        await page.shows("user", /by token/);
        await page.connect(transport, "lobby");
        // An event stream ends with its time, and comes back as slowly as it was told.
        await page.shows("renewals", transport === "ws" ? /^[6-9]/ : /^[1-9]/);
        const root = stranger(url, { headers: { Authorization: `Bearer ${await fetchToken(url, "root")}` } });
        await root.say("lobby", { event: "note", data: "later" });
        await page.hears(/root: later/);
        const heard = await page.heard();
        // A WebSocket is renewed as it is.
        assert.equal(heard.some((line) => /expired/.test(line)), transport === "sse");
      }, { lifetime: 8 });
    }

    test("has an EventSource that stays away at 401, and comes back by itself from anything else", async (page, { network }) => {
      await page.logIn("alice", "cookie");
      await page.shows("user", /^You are alice/);
      await page.evaluate(() => {
        globalThis.states = [];
        globalThis.source = new EventSource("/rooms/lobby/sse");
        for (const name of ["open", "error"]) source.addEventListener(name, () => states.push(`${name} ${source.readyState}`));
      });
      const states = async (expected) => {
        let seen;
        const isSeen = async () => JSON.stringify((seen = await page.evaluate(() => states))) === JSON.stringify(expected);
        await until(isSeen, () => `the EventSource has gone through ${expected}: ${seen}`);
      };
      await states(["open 1"]);
      network.cut();
      await states(["open 1", "error 0", "open 1"]);
      // It is told to stay away, comes back nevertheless, is refused, and has closed for good (2).
      await page.press("logout");
      await states(["open 1", "error 0", "open 1", "error 0", "error 2"]);
    });

    test("logs in by its form without any script", async (page) => {
      // As the browser sends it by itself: no listener hears of that.
      const submit = () => {
        const form = document.getElementById("login");
        form.elements.password.value = form.elements.name.value;
        document.title = "before";
        form.submit();
      };
      await page.evaluate(submit);
      await page.isAt("One user");
      await page.shows("user", /^You are alice, by cookie\./);
    });

    test("hides its cookie from scripts", async (page) => {
      await page.logIn("alice", "cookie");
      await page.shows("user", /^You are alice/);
      assert.equal(await page.evaluate(() => document.cookie), "");
    });

    test("turns away a page of another port, with which the browser sends the cookie all the same", async (page, { url, network }) => {
      await page.logIn("alice", "cookie");
      await page.shows("user", /^You are alice/);
      const stranger = createServer((_, response) => response.setHeader("Content-Type", "text/html").end("<title>Stranger</title>"));
      stranger.listen(0, "127.0.0.1");
      await once(stranger, "listening");
      await page.visit(`http://127.0.0.1:${stranger.address().port}`, "Stranger");
      const attack = async (url) => {
        const socket = new WebSocket(`${url.replace("http", "ws")}/rooms/lobby/ws`);
        const closed = new Promise((resolve) => {
          socket.onopen = () => resolve("open");
          socket.onclose = ({ code }) => resolve(code);
        });
        const source = new EventSource(`${url}/rooms/lobby/sse`, { withCredentials: true });
        const failed = new Promise((resolve) => (source.onopen = source.onerror = () => resolve(source.readyState)));
        const post = async (path, body) => (await fetch(url + path, { method: "POST", mode: "no-cors", credentials: "include", body })).type;
        const said = await post("/rooms/lobby/say", JSON.stringify({ event: "note", data: "by another page" }));
        return [await closed, await failed, said, await post("/logout")];
      };
      assert.deepEqual(await page.evaluate(attack, url), [1006, 2, "opaque", "opaque"]);
      // It is still logged in, and nothing was said.
      await page.visit(network.url, "One user");
      stranger.close();
      await page.shows("user", /^You are alice/);
      await page.connect("ws", "lobby");
      await page.say("by ours");
      await page.hears(/alice: by ours .*-1$/);
    });

    test("has nothing that stands in the way of a screen reader, or of weak eyes", async (_, { url }) => {
      for (const isDark of name === "chromium" ? [false, true] : [false]) {
        const page = new AuthPage(await browser.newPage(url, { isDark }));
        await page.forget();
        await page.connect("sse", "lobby", /^Refused/);
        await page.logIn("alice", "token");
        await page.shows("user", /^You are alice/);
        await page.connect("ws", "lobby");
        await page.say("one");
        await page.hears(/alice: one/);
        assert.deepEqual(await findHindrances(page), [], isDark ? "dark" : "light");
        await page.close();
      }
    });
  });
}

/** The page as a person uses it. */
class AuthPage {
  #page;

  constructor(page) {
    this.#page = page;
  }

  /** Has what it waits for from here on come sooner. */
  async hurry() {
    await this.evaluate((haste) => {
      const { setTimeout } = globalThis;
      globalThis.setTimeout = (run, milliseconds) => setTimeout(run, milliseconds / haste);
    }, haste);
  }

  async logIn(name, way) {
    await this.#fill("login", { name, password: name, way });
  }

  /** Connects, until the page says so. */
  async connect(transport, room, expected = /^Connected\.$/) {
    await this.#fill("connect", { transport, room });
    await this.shows("state", expected);
  }

  async say(note) {
    await this.#fill("say", { note });
  }

  async leave() {
    await this.press("leave");
    await this.shows("state", /^Left\.$/);
  }

  async press(id) {
    await this.evaluate((id) => document.getElementById(id).click(), id);
  }

  /** Waits until it shows this. */
  async shows(id, pattern) {
    let shown;
    const matches = async () => pattern.test((shown = await this.evaluate((id) => document.getElementById(id).textContent, id)));
    await until(matches, () => `${id} is like ${pattern}; it is: ${shown}`);
  }

  async heard() {
    return this.evaluate(() => [...document.querySelectorAll("#log p")].map(({ textContent }) => textContent));
  }

  async hears(pattern) {
    let heard;
    const hasHeard = async () => (heard = await this.heard()).some((line) => pattern.test(line));
    await until(hasHeard, () => `it has heard ${pattern}: ${heard}`);
  }

  /** Logs out whoever is still logged in. */
  async forget() {
    await this.evaluate(async () => (await fetch("/logout", { method: "POST" })).status);
    await this.shows("user", /./);
  }

  /** Goes to another page, whose title begins so. */
  async visit(url, title) {
    await this.evaluate((url) => void setTimeout(() => (location.href = url)), url);
    await this.isAt(title);
  }

  async isAt(expected) {
    // While it goes there is no page to ask.
    const title = () => this.evaluate(() => document.readyState === "complete" && document.title).catch(() => "");
    await until(async () => ((await title()) || "").startsWith(expected), () => `the page is at ${expected}`);
  }

  async evaluate(fn, ...args) {
    return this.#page.evaluate(fn, ...args);
  }

  async close() {
    await this.#page.close();
  }

  async #fill(form, values) {
    const fill = (id, values) => {
      const form = document.getElementById(id);
      for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
      form.requestSubmit();
    };
    await this.evaluate(fill, form, values);
  }
}
