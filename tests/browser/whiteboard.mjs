// `examples/whiteboard` as people use it: servers, somebody's network, and the page by mouse, fingers and keyboard.
//
//     const ada = await scene.join("Ada", { transport: "sse" });
//     const id = await ada.makeNote(300, 300, "hello");
//     await bob.sees(([id]) => textOf(id) === "hello", [id]);
//
// Everybody comes over a proxy of their own, so that they can be cut off alone; and since its port makes an origin of its own, they have a
// storage of their own in browsers whose tabs share it.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startProxy } from "./proxy.mjs";
import { buildExample, buildTimeout, startExample } from "./server.mjs";
import { until } from "./until.mjs";

/** How long one test may take, in milliseconds. Its own waits end sooner, and say what they waited for. */
const testTimeout = 90_000;

/** How long a page may take for what involves coming back, in milliseconds: it waits up to 30 s between one attempt and the next. */
export const patience = 45_000;

/**
 * Runs tests in these browsers. `define` gets a function like `it`, whose tests get a scene, and the name of the browser. Whatever a test does,
 * no page may have failed in a way that it did not expect, and the server has to end in good order.
 */
export function inWhiteboard(title, browsers, define) {
  for (const [name, launch] of Object.entries(browsers)) {
    describe(`${title}, in ${name}`, () => {
      let browser;
      before(async () => buildExample("whiteboard"), { timeout: buildTimeout });
      before(async () => (browser = await launch()), { timeout: testTimeout });
      after(async () => browser?.close(), { timeout: testTimeout });

      define((title, body) => it(title, { timeout: testTimeout }, async () => play(browser, body)), name);
    });
  }
}

async function play(browser, body) {
  const scene = await Scene.open(browser);
  try {
    await body(scene);
    await scene.leave();
    assert.deepEqual(await scene.server.stop(), { code: 0, signal: null });
  } finally {
    await scene.close();
  }
}

/** A server with a file of boards, and those who come to it. */
class Scene {
  /** @type {WhiteboardPage[]} */
  #pages = [];
  #networks = [];
  #directory;
  #stranger = newKey();
  #said = 0;

  static async open(browser) {
    const scene = new Scene();
    scene.browser = browser;
    scene.#directory = await mkdtemp(join(tmpdir(), "whiteboard-"));
    await scene.startServer();
    return scene;
  }

  /** Starts the server, at this port or one that is free, with the boards of the one before it. */
  async startServer(port) {
    this.server = await startExample("whiteboard", { port, env: { DATA: join(this.#directory, "boards.redb") } });
  }

  /** Ends the server in good order, and starts another in its place. */
  async restartServer(happens = async () => {}) {
    const { port } = this.server;
    assert.deepEqual(await this.server.stop(), { code: 0, signal: null });
    await happens();
    await this.startServer(port);
  }

  /** Somebody opens the board. `isReady: false`: without waiting until it is there. */
  async join(name, { color = 1, transport = "ws", board = "one", isReady = true, ...look } = {}) {
    const page = await joinBoard(this.browser, await this.#network(), { name, color, transport, board, ...look });
    this.#pages.push(page);
    if (isReady) await page.isReady();
    return page;
  }

  /** Somebody looks on. */
  async watch({ board = "one", ...look } = {}) {
    const network = await this.#network();
    const page = new WhiteboardPage(await this.browser.newPage(`${network.url}/b/${board}/view`, look), network);
    this.#pages.push(page);
    await page.isReady();
    return page;
  }

  /** Another page of the same person. */
  async another(page, path) {
    const tab = new WhiteboardPage(await page.tab.newTab(page.network.url + path), page.network);
    this.#pages.push(tab);
    return tab;
  }

  async snapshot(board = "one") {
    return snapshot(this.server.url, board);
  }

  /** What somebody says who has no page of ours, or one that no test can make say it. `key` makes them somebody who is here already. */
  async say(event, data, { name = "Eve", key = this.#stranger } = {}) {
    const response = await fetch(`${this.server.url}/b/one/live?name=${name}&color=0`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ event, data }),
    });
    assert.equal(response.ok, true, await response.text());
  }

  /** The same, of changes. */
  async change(changes, who) {
    this.#said += 1;
    await this.say("op", { client: "stranger", n: this.#said, changes }, who);
  }

  /** All leave. None of the pages may have failed. */
  async leave() {
    for (const page of this.#pages) assert.deepEqual(page.failures, []);
    await this.#leave();
  }

  async close() {
    await this.#leave();
    for (const network of this.#networks) await network.close();
    await this.server?.stop();
    await rm(this.#directory, { recursive: true });
  }

  async #network() {
    const network = await startProxy(this.server.port);
    this.#networks.push(network);
    return network;
  }

  async #leave() {
    for (const page of this.#pages.splice(0)) await page.close();
  }
}

/** The board as a server has it, with its position. */
export async function snapshot(url, board = "one") {
  const response = await fetch(`${url}/b/${board}/snapshot`);
  assert.equal(response.status, 200);
  return response.json();
}

/** What makes somebody who they are. */
export function newKey() {
  return randomBytes(32).toString("base64url");
}

/** Somebody with this name opens a board over a network, in a tab of their own. */
export async function joinBoard(browser, network, { name, color = 1, key = newKey(), transport = "ws", board = "one", ...look }) {
  // The start page is of the same origin, and asks nobody's name.
  const tab = await browser.newPage(network.url, look);
  const identity = { key, name, color };
  await tab.evaluate((identity) => localStorage.setItem("whiteboard.identity", JSON.stringify(identity)), identity);
  await tab.leave(`${network.url}/b/${board}?transport=${transport}`);
  return new WhiteboardPage(tab, network, identity);
}

/** An editor's page, or a viewer's. */
export class WhiteboardPage {
  constructor(tab, network, identity) {
    this.tab = tab;
    this.network = network;
    this.identity = identity;
  }

  /** What the page complained of, but for networks that were cut, and answers that say no. */
  get failures() {
    const isExpected = /net::|NS_ERROR|status of \d+|WebSocket connection|establish a connection|was interrupted|NetworkError/;
    return this.tab.complaints.filter((complaint) => !isExpected.test(complaint));
  }

  /** It has its board, is connected, and has taken its first look. */
  async isReady() {
    await this.sees(() => globalThis.whiteboard && (whiteboard.live.state?.status ?? whiteboard.live.status) === "open", [], "it is connected");
    await this.sees(() => whiteboard.camera.x !== 0 || whiteboard.camera.zoom !== 1, [], "it has taken its first look");
  }

  /** Nothing is unsent or unconfirmed, and there is a connection. */
  async isSettled(patience) {
    await this.sees(() => whiteboard.live.state.status === "open" && whiteboard.pending() === 0, [], "all is sent and confirmed", patience);
  }

  async evaluate(fn, ...args) {
    return this.tab.evaluate(fn, ...args);
  }

  /** Waits until `fn(...args)` is true in the page. */
  async sees(fn, args = [], what = `it is so in the page: ${fn} of ${JSON.stringify(args)}`, patience) {
    // Between two pages there is none to ask.
    await until(() => this.evaluate(fn, ...args).catch(() => false), () => what, patience);
  }

  /** Waits until the first element of this selector is seen, and has such a text. */
  async shows(selector, pattern, patience) {
    let shown;
    const text = (selector) => {
      const element = document.querySelector(selector);
      return element?.checkVisibility() ? element.textContent : undefined;
    };
    const matches = async () => (shown = await this.evaluate(text, selector).catch(() => undefined)) !== undefined && pattern.test(shown);
    await until(matches, () => `${selector} is seen, and like ${pattern}; it is: ${shown}`, patience);
    return shown.match(pattern);
  }

  /** Waits until no element of this selector is seen. */
  async hides(selector, patience) {
    const isSeen = (selector) => ![...document.querySelectorAll(selector)].some((element) => element.checkVisibility());
    await this.sees(isSeen, [selector], `no ${selector} is seen`, patience);
  }

  /** What there is on the board as this page shows it, from behind to the front: `{ id, kind, text, x, y, … }`. */
  async objects() {
    return this.evaluate(() =>
      Object.entries(whiteboard.shown())
        .filter(([, { deleted }]) => !deleted)
        .map(([id, object]) => ({ id, ...object }))
        .sort((a, b) => a.z - b.z || (a.id < b.id ? -1 : 1)),
    );
  }

  /** One of them, once it is there. */
  async object(id, patience) {
    await this.sees((id) => whiteboard.shown()[id] !== undefined, [id], `${id} is there`, patience);
    return this.evaluate((id) => whiteboard.shown()[id], id);
  }

  /** Waits until the object is like this. */
  async has(id, props, patience) {
    let object;
    const isSo = async () => {
      object = await this.evaluate((id) => whiteboard.shown()[id], id);
      return object !== undefined && Object.entries(props).every(([prop, value]) => object[prop] === value);
    };
    await until(isSo, () => `${id} is like ${JSON.stringify(props)}; it is ${JSON.stringify(object)}`, patience);
  }

  /** The confirmed board. */
  async board() {
    return this.evaluate(() => whiteboard.board());
  }

  /** What stands on the screen, as elements from behind to the front. */
  async drawn() {
    return this.evaluate(() =>
      [...document.querySelectorAll("#world > .element")].map((element) => {
        const { translate, width, height } = element.style;
        return { id: element.dataset.id, color: element.dataset.color, translate, width, height, text: element.querySelector(".text")?.textContent };
      }),
    );
  }

  /** The middle of what this selector finds, in the window. */
  async middleOf(selector) {
    await this.sees((selector) => document.querySelector(selector)?.checkVisibility() ?? false, [selector], `${selector} is seen`);
    return this.evaluate((selector) => {
      const { left, top, width, height } = document.querySelector(selector).getBoundingClientRect();
      return { x: left + width / 2, y: top + height / 2 };
    }, selector);
  }

  /** The page has drawn all that it knows. */
  async isDrawn() {
    await this.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  }

  /** The middle of an object, in the window, once the page has drawn it where it is. */
  async place(id) {
    await this.isDrawn();
    return this.middleOf(`#world [data-id="${id}"]`);
  }

  /** Presses the mouse on the middle of what this selector finds. */
  async click(selector) {
    const { x, y } = await this.middleOf(selector);
    await this.tab.click(x, y);
  }

  async press(keys) {
    await this.tab.press(keys);
  }

  async type(text) {
    await this.tab.type(text);
  }

  /** Drags the mouse from the first of these points through the others. */
  async drag(...points) {
    await this.startDrag(...points);
    await this.tab.mouseUp();
  }

  /** The same, without letting go. */
  async startDrag(first, ...others) {
    await this.tab.point(first.x, first.y);
    await this.tab.mouseDown();
    for (const { x, y } of others) await this.tab.point(x, y, 6);
  }

  /** Takes a tool by its button. */
  async take(tool) {
    await this.click(`[data-tool="${tool}"]`);
    await this.sees((tool) => document.querySelector(`[data-tool="${tool}"]`).ariaPressed === "true", [tool], `${tool} is at hand`);
  }

  /** Does something that puts one object on the board, and answers its id. */
  async making(act) {
    const ids = () => this.evaluate(() => Object.keys(whiteboard.shown()));
    const before = new Set(await ids());
    await act();
    let made;
    const isMade = async () => (made = (await ids()).filter((id) => !before.has(id))).length > 0;
    await until(isMade, () => "there is a new object");
    assert.equal(made.length, 1);
    return made[0];
  }

  /** Makes a note by a double click on an empty place of the window, and writes on it. */
  async makeNote(x, y, text) {
    const id = await this.making(() => this.tab.doubleClick(x, y));
    await this.isWriting();
    await this.type(text);
    await this.press("Escape");
    await this.has(id, { text, editing: null });
    return id;
  }

  /** The text of a note is open. */
  async isWriting() {
    await this.sees(() => document.activeElement.matches(".text-editor"), [], "a note is open");
  }

  /** Says something in the chat, which is opened if it is not. */
  async say(text) {
    if (await this.evaluate(() => document.getElementById("panel").hidden)) await this.click("#toggle");
    await this.click("#say-text");
    await this.type(text);
    await this.press("Enter");
  }

  /** Chooses a transport in the panel of the connection, and waits until it is the one. */
  async choose(transport, shown) {
    await this.click("#lamp");
    await this.click(`#transports label:has([value="${transport}"])`);
    await this.shows("#figures", new RegExp(`^Transport${shown.replace("+", "\\+")}Latency`));
    await this.press("Escape");
    await this.hides("#connection-popover");
  }

  async close() {
    await this.tab.close();
  }
}
