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
import playwright from "playwright-core";
import puppeteer from "puppeteer-core";

export async function launchChromium() {
  const browser = await playwright.chromium.launch({
    executablePath: executable("chromium"),
    // Chromium's sandbox refuses to start as root, and these pages are our own.
    chromiumSandbox: false,
    args: ["--disable-quic", "--disable-background-networking"],
  });
  return new Browser("chromium", browser, ({ width, height, isDark }) =>
    browser.newPage({
      viewport: { width, height },
      colorScheme: isDark ? "dark" : "light",
      // `examples/tls-h2` makes its own certificate.
      ignoreHTTPSErrors: true,
    }),
  );
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

  /** A new tab of this size, in pixels, once `url` has loaded in it. Only Chromium can be told to be dark. */
  async newPage(url, { width = 1280, height = 900, isDark = false } = {}) {
    const driver = await this.#open({ width, height, isDark });
    const page = new Page(driver, this.#driver);
    await driver.goto(url);
    return page;
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
    driver.on("pageerror", (error) => this.complaints.push(String(error)));
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

  async show() {
    await this.#driver.bringToFront();
    await this.#cover.close();
    this.#cover = undefined;
  }

  /** Takes the network from it, or gives it back. Connections that are open stay so. */
  async setOffline(isOffline) {
    await this.#driver.setOfflineMode(isOffline);
  }

  /** Presses a key where the focus is. */
  async press(key) {
    await this.#driver.keyboard.press(key);
  }

  /** Writes what it looks like into a PNG file. */
  async screenshot(path) {
    await this.#driver.screenshot({ path });
  }

  async close() {
    if (this.#driver.isClosed()) return;
    await this.#cover?.close();
    await this.#driver.close();
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
