// The browsers of the system behind one small interface, so that a test is written once and runs in each.
//
//     const browser = await launchFirefox();
//     const page = await browser.newPage(url);
//     const title = await page.evaluate((suffix) => document.title + suffix, "!");
//     await browser.close();
//
// Two drivers are needed. Playwright speaks to Firefox only in builds of its own, which it would download; Puppeteer
// drives an unchanged Firefox over WebDriver BiDi.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import playwright from "playwright-core";
import puppeteer from "puppeteer-core";

/** Clicks that are so far apart, in milliseconds, are no double click, to the page as to a browser. */
const doubleTime = 500;

export async function launchChromium() {
  const browser = await playwright.chromium.launch({
    executablePath: executable("chromium"),
    // Chromium's sandbox refuses to start as root, and these pages are our own.
    chromiumSandbox: false,
    args: ["--disable-quic", "--disable-background-networking"],
  });
  return new Browser("chromium", browser, async ({ width, height, isDark, isPhone, scale }) => {
    const profile = await browser.newContext({
      viewport: { width, height },
      colorScheme: isDark ? "dark" : "light",
      deviceScaleFactor: scale,
      isMobile: isPhone,
      hasTouch: isPhone,
      // `examples/tls-h2` makes its own certificate.
      ignoreHTTPSErrors: true,
    });
    return profile.newPage();
  });
}

export async function launchFirefox() {
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: executable("firefox-esr"),
    acceptInsecureCerts: true,
    // As users have it, and not as Puppeteer would: in place of an error without a body, and of JSON, Firefox shows a
    // page of its own, which is of no origin and can't connect.
    extraPrefsFirefox: {
      "browser.http.blank_page_with_error_response.enabled": false,
      "devtools.jsonview.enabled": true,
    },
  });
  return new Browser("firefox", browser, async ({ width, height }) => {
    const page = await browser.newPage();
    await page.setViewport({ width, height });
    return page;
  });
}

/**
 * Chromium as people have it. Playwright makes each page believe that it is seen, whatever lies over it, and lets none be
 * brought back as it was left.
 */
export async function launchOwnChromium() {
  const browser = await puppeteer.launch({
    executablePath: executable("chromium"),
    acceptInsecureCerts: true,
    args: ["--no-sandbox", "--disable-quic", "--disable-background-networking"],
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
  return new Browser("chromium", browser, async ({ width, height }) => {
    const page = await browser.newPage();
    await page.setViewport({ width, height });
    return page;
  });
}

/** Every browser that a test should run in. */
export const launchers = { chromium: launchChromium, firefox: launchFirefox };

/** The same, with pages that can be hidden, left and brought back, and taken offline. */
export const ownLaunchers = { chromium: launchOwnChromium, firefox: launchFirefox };

class Browser {
  #driver;
  #open;

  constructor(name, driver, open) {
    this.name = name;
    this.#driver = driver;
    this.#open = open;
  }

  /**
   * A new tab of this size, in pixels, once `url` has loaded in it. Only Chromium can be told to be dark, or a phone, or to have `scale` dots to a
   * pixel; and only there it is a profile of its own.
   */
  async newPage(url, { width = 1280, height = 900, isDark = false, isPhone = false, scale = 1 } = {}) {
    const driver = await this.#open({ width, height, isDark, isPhone, scale });
    const page = new Page(driver, this.#driver);
    await driver.goto(url);
    return page;
  }

  /** Its number, as `156.0.8078.108`. */
  async version() {
    return (await this.#driver.version()).replace(/^\D*/, "");
  }

  async close() {
    await this.#driver.close();
  }
}

class Page {
  #driver;
  #browser;
  /** The tab that lies over it, while it is hidden. */
  #cover;
  /** What it has complained of in its console, and what it did not catch. */
  complaints = [];

  constructor(driver, browser) {
    this.#driver = driver;
    this.#browser = browser;
    driver.on("console", (message) => message.type() === "error" && this.complaints.push(message.text()));
    driver.on("pageerror", (error) => this.complaints.push(String(error.stack ?? error)));
  }

  /**
   * What `fn(...args)` returns, or resolves to, in the page. The function travels as its source: it sees its arguments
   * and the page, nothing around it here. Arguments and result are JSON.
   */
  async evaluate(fn, ...args) {
    return this.#driver.evaluate(`(${fn})(...${JSON.stringify(args)})`);
  }

  /** Loads it anew, as a person would. */
  async reload() {
    await this.#driver.reload();
  }

  /** Goes elsewhere, as by a link. */
  async leave(url) {
    await this.#driver.goto(url);
  }

  /** Goes back, as by the browser's button. A page that is brought back does not load, so nothing says when it is there. */
  async goBack() {
    await this.evaluate(() => void setTimeout(() => history.back()));
  }

  /** Lays another tab over it. With `ownLaunchers` only, as what follows. */
  async hide() {
    this.#cover = await this.#browser.newPage();
    await this.#cover.bringToFront();
  }

  /** Lays it over all other tabs: one that lies behind is hidden, in a browser whose tabs share a window. */
  async bringToFront() {
    await this.#driver.bringToFront();
  }

  async show() {
    await this.#driver.bringToFront();
    await this.#cover.close();
    this.#cover = undefined;
  }

  /** Takes the network from it, or gives it back. Connections that are open stay so. */
  async setOffline(isOffline) {
    await this.#driver.setOfflineMode(isOffline);
  }

  /** Another tab of the same profile. */
  async newTab(url) {
    const driver = await (this.#driver.context?.() ?? this.#driver.browserContext()).newPage();
    const page = new Page(driver, this.#browser);
    await driver.goto(url);
    return page;
  }

  /** Presses a key where the focus is, with others held: `Control+Shift+z`. */
  async press(keys) {
    const [key, ...held] = keys.split(/(?<=.)\+(?=.)/).reverse();
    for (const each of held.toReversed()) await this.#driver.keyboard.down(each);
    await this.#driver.keyboard.press(key);
    for (const each of held) await this.#driver.keyboard.up(each);
  }

  async keyDown(key) {
    await this.#driver.keyboard.down(key);
  }

  async keyUp(key) {
    await this.#driver.keyboard.up(key);
  }

  /** Types where the focus is. */
  async type(text) {
    await this.#driver.keyboard.type(text);
  }

  /** Moves the mouse to this point of the window, in so many steps. */
  async point(x, y, steps = 1) {
    await this.#driver.mouse.move(x, y, { steps });
  }

  async mouseDown() {
    await this.#driver.mouse.down();
  }

  async mouseUp() {
    await this.#driver.mouse.up();
  }

  async click(x, y) {
    await this.#driver.mouse.click(x, y);
  }

  /** Clicks twice so fast that it is a double click, however busy the machine is. */
  async doubleClick(x, y) {
    const { mouse } = this.#driver;
    // No press waits for word of the one before.
    if (mouse.dblclick) {
      await mouse.move(x, y);
      await Promise.all([mouse.down(), mouse.up(), mouse.down({ clickCount: 2 }), mouse.up({ clickCount: 2 })]);
      return;
    }
    // Here each waits for the page, and a busy one parts them. Who was too slow does what a person does, and begins anew.
    while ((await this.#clickTwice(x, y)) >= doubleTime) await sleep(2 * doubleTime);
  }

  /** Clicks twice, and answers how far apart that was for the page, in milliseconds. */
  async #clickTwice(x, y) {
    await this.evaluate(() => {
      window.presses = [];
      window.notePress = (event) => window.presses.push(event.timeStamp);
      addEventListener("pointerup", window.notePress, { capture: true });
    });
    await this.#driver.mouse.click(x, y, { count: 2 });
    return this.evaluate(() => {
      removeEventListener("pointerup", window.notePress, { capture: true });
      return window.presses[1] - window.presses[0];
    });
  }

  async wheel(deltaX, deltaY) {
    const { mouse } = this.#driver;
    await (mouse.dblclick ? mouse.wheel(deltaX, deltaY) : mouse.wheel({ deltaX, deltaY }));
  }

  /** Puts fingers down, moves them from place to place, and lifts them: `[[{ x, y }], …]`, as many in each place. A phone in Chromium only. */
  async touch(places) {
    await this.#touching(async (send) => {
      await send("touchStart", places[0]);
      for (const points of places.slice(1)) await send("touchMove", points);
      await send("touchEnd", []);
    });
  }

  /** Taps twice, as fast as `doubleClick`. A phone in Chromium only. */
  async doubleTap(x, y) {
    const down = ["touchStart", [{ x, y }]];
    const up = ["touchEnd", []];
    await this.#touching((send) => Promise.all([down, up, down, up].map((event) => send(...event))));
  }

  async #touching(act) {
    const session = await this.#driver.context().newCDPSession(this.#driver);
    const send = (type, points) => session.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(({ x, y }, id) => ({ x, y, id })) });
    await act(send);
    await session.detach();
  }

  /** Writes what it looks like into a PNG file. */
  async screenshot(path) {
    await this.#driver.screenshot({ path });
  }

  async close() {
    if (this.#driver.isClosed()) return;
    await this.#cover?.close();
    await this.#driver.close();
    const profile = this.#driver.context?.();
    if (profile?.pages().length === 0) await profile.close();
  }
}

function executable(name) {
  for (const directory of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  throw new Error(`no ${name} in PATH; \`tests/run browsers\` installs it`);
}
