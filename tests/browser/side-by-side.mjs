// The page of `examples/side-by-side` as a person uses it: by what it shows, and by its buttons.
//
//     const page = await openSideBySide(browser, server.url);
//     await page.a.press("cut");
//     await page.a.shows("verdict", /reconnected/);

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launchers } from "./browsers.mjs";
import { buildExample, buildTimeout, startExample } from "./server.mjs";
import { until } from "./until.mjs";

/** How long one test may take, in milliseconds. Its own waits end sooner, and say what they waited for. */
export const testTimeout = 60_000;

/**
 * Runs tests in each browser. `define` gets a function like `it`, whose tests get a page, and a scene with the server and the browser. Whatever a test does, no pane may have lost or doubled a message. A pane pauses for `hold` seconds: commonly not for
 * as long as a person likes to watch.
 */
export function inSideBySide(title, define) {
  for (const [name, launch] of Object.entries(launchers)) {
    describe(`${title}, in ${name}`, () => {
      let browser;
      before(async () => buildExample("side-by-side"), { timeout: buildTimeout });
      before(async () => (browser = await launch()), { timeout: testTimeout });
      after(async () => browser?.close(), { timeout: testTimeout });

      define((title, body, { hold = 2, timeout = testTimeout } = {}) =>
        it(title, { timeout }, async () => play(browser, body, hold)),
      );
    });
  }
}

async function play(browser, body, hold) {
  const scene = { browser, server: await startExample("side-by-side") };
  let page;
  try {
    page = await openSideBySide(browser, `${scene.server.url}/?hold=${hold}`);
    await body(page, scene);
    for (const pane of page.panes) await pane.isWhole();
    assert.deepEqual(await scene.server.stop("SIGINT"), { code: 0, signal: null });
  } finally {
    await page?.close();
    await scene.server.stop();
  }
}

/** The page in a tab of its own, once all panes are open. */
export async function openSideBySide(browser, url, look) {
  const page = new SideBySide(await browser.newPage(url, look));
  for (const pane of page.panes) await pane.shows("verdict", /^open, and counting/);
  return page;
}

class SideBySide {
  constructor(page) {
    this.page = page;
    this.a = new Pane(page, "a");
    this.b = new Pane(page, "b");
    this.c = new Pane(page, "c");
    this.panes = [this.a, this.b, this.c];
  }

  /** Presses a button that belongs to no pane. */
  async press(id) {
    await this.page.evaluate((id) => document.getElementById(id).click(), id);
  }

  /** What the strip shows of the machine. */
  async machine() {
    return this.page.evaluate(() =>
      Object.fromEntries([...document.querySelectorAll("[data-machine]")].map((at) => [at.dataset.machine, at.textContent])),
    );
  }

  async close() {
    await this.page.close();
  }
}

class Pane {
  #page;
  #letter;

  constructor(page, letter) {
    this.#page = page;
    this.#letter = letter;
  }

  /** What stands there now: a fact, or one of `title`, `state`, `tells`, `verdict`, `way`, `answer`. */
  async text(name) {
    const text = (element, name) => element.querySelector(`[data-fact="${name}"], [data-show="${name}"]`).textContent;
    return this.#ask(text, name);
  }

  async number(fact) {
    return Number((await this.text(fact)).replaceAll(",", ""));
  }

  /** Waits until it shows this, and answers the match. */
  async shows(name, pattern, patience) {
    let shown;
    const matches = async () => pattern.test((shown = await this.text(name)));
    await until(matches, () => `the ${name} of pane ${this.#letter} is like ${pattern}; it is: ${shown}`, patience);
    return shown.match(pattern);
  }

  /** The tone of the verdict. */
  async tone() {
    return this.#ask((element) => element.querySelector(".verdict").dataset.tone);
  }

  /** The rows that the list of events has, the newest first, as `{ id, event, said }`. */
  async events() {
    return this.#ask((element) =>
      [...element.querySelectorAll("tbody tr")].map(({ cells: [id, event, said] }) => ({
        id: id.title,
        event: event.textContent,
        said: said.textContent,
      })),
    );
  }

  /** Waits for such an event, and answers it. */
  async event(event, said) {
    let found;
    const isThere = async () =>
      (found = (await this.events()).find((row) => row.event === event && said.test(row.said))) !== undefined;
    await until(isThere, () => `pane ${this.#letter} shows a ${event} like ${said}`);
    return found;
  }

  /** Whether something is drawn in the plot in the colour of its transport. */
  async isPlotted() {
    return this.#ask((element) => {
      const canvas = element.querySelector("canvas");
      const drawn = (context) => context.getImageData(0, 0, canvas.width, canvas.height).data;
      const sample = new OffscreenCanvas(1, 1).getContext("2d");
      sample.fillStyle = getComputedStyle(canvas).getPropertyValue("--accent");
      sample.fillRect(0, 0, 1, 1);
      const [red, green, blue] = sample.getImageData(0, 0, 1, 1).data;
      const pixels = drawn(canvas.getContext("2d"));
      for (let i = 0; i < pixels.length; i += 4) {
        if (pixels[i] === red && pixels[i + 1] === green && pixels[i + 2] === blue && pixels[i + 3] === 255) return true;
      }
      return false;
    });
  }

  /** Whether its cursor is the id of the newest event that it lists. */
  async isAtNewest() {
    return this.#ask(
      (element) =>
        element.querySelector(`[data-fact="cursor"]`).textContent === element.querySelector("tbody tr")?.cells[0].title,
    );
  }

  async press(button) {
    await this.#ask((element, button) => element.querySelector(`[data-do="${button}"]`).click(), button);
  }

  /** Types a note and sends it. */
  async say(text) {
    const type = (element, text) => {
      const form = element.querySelector("form");
      form.elements.note.value = text;
      form.requestSubmit();
    };
    await this.#ask(type, text);
  }

  /** That it missed nothing and got nothing twice, by its own count. */
  async isWhole() {
    assert.equal(await this.text("wrong"), "0");
    assert.notEqual(await this.tone(), "wrong");
  }

  /** What `fn(element, ...args)` returns, for the pane's element. */
  async #ask(fn, ...args) {
    const ask = `(letter, ...args) => (${fn})(document.querySelector('[data-pane="' + letter + '"]'), ...args)`;
    return this.#page.evaluate(ask, this.#letter, ...args);
  }
}
