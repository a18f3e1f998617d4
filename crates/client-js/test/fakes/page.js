// A page that is hidden, put away and brought back, on a network that comes and goes.

import { afterwards } from "./cleanup.js";

/** A page: what browsers have and Node has not. */
export class Page {
  storage = new Map();
  #document = { visibilityState: "visible" };
  #navigator = { onLine: true, connection: Object.assign(new EventTarget(), { type: "wifi" }) };
  #window = new EventTarget();

  constructor() {
    const sessionStorage = {
      getItem: (key) => this.storage.get(key) ?? null,
      setItem: (key, value) => this.storage.set(key, value),
    };
    this.#define("document", this.#document);
    this.#define("navigator", this.#navigator);
    this.#define("sessionStorage", sessionStorage);
    this.#define("addEventListener", (...listener) => this.#window.addEventListener(...listener));
  }

  hide() {
    this.#see("hidden");
  }

  show() {
    this.#see("visible");
  }

  goOffline() {
    this.#navigator.onLine = false;
    this.#window.dispatchEvent(new Event("offline"));
  }

  goOnline() {
    this.#navigator.onLine = true;
    this.#window.dispatchEvent(new Event("online"));
  }

  /** Another network; or the same one, guessed anew. */
  connectBy(type) {
    this.#navigator.connection.type = type;
    this.#navigator.connection.dispatchEvent(new Event("change"));
  }

  putAway() {
    this.#window.dispatchEvent(new Event("pagehide"));
  }

  bringBack() {
    this.#window.dispatchEvent(new Event("pageshow"));
  }

  on(name, listener) {
    this.#window.addEventListener(name, listener);
  }

  #see(visibilityState) {
    this.#document.visibilityState = visibilityState;
    // It bubbles.
    this.#window.dispatchEvent(new Event("visibilitychange"));
  }

  #define(name, value) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    afterwards(() => {
      if (before) Object.defineProperty(globalThis, name, before);
      else delete globalThis[name];
    });
  }
}
