// What this page asks of the server, and by what it shows who it is.

/** The server's word on why something was refused. */
export class Refused extends Error {
  constructor(status, { code, message }) {
    super(`${message} (${status}, ${code})`);
    this.status = status;
  }
}

export class Server {
  /** How it shows who it is: `cookie`, `token` or `ticket`. */
  way = "cookie";
  /** In memory alone: what is stored could be read by any script that ever gets into the page. */
  #token;
  #renewal;

  async logIn(name, password, way) {
    this.#forget();
    if (way === "token") {
      const body = JSON.stringify({ name, password });
      this.#keep(await this.#ask("/tokens", { body, headers: { "Content-Type": "application/json" } }));
    } else {
      await this.#ask("/login", { body: new URLSearchParams({ name, password }) });
    }
    this.way = way;
  }

  async logOut() {
    await this.#ask("/logout");
    this.#forget();
  }

  /** Who this is, to the server. */
  async me() {
    return this.#ask("/me", { method: "GET" });
  }

  /** A new token, for this page and for its live WebSocket. */
  async newToken() {
    const { token, expires } = await this.#ask("/tokens/renew");
    if (this.way === "token") this.#keep({ token, expires });
    return token;
  }

  async say(room, note, key) {
    const body = JSON.stringify({ event: "note", data: note, key });
    return this.#ask(`/rooms/${room}/say`, { body, headers: { "Content-Type": "application/json" } });
  }

  /** The address of a stream, and what else has to be sent to be let in. */
  async opening(path, cursor) {
    const query = new URLSearchParams(cursor ? { "last-event-id": cursor } : {});
    if (this.way === "ticket") query.set("ticket", (await this.#ask("/tickets")).ticket);
    return { address: `${path}?${query}`, headers: this.#headers(), token: this.#token };
  }

  #keep({ token, expires }) {
    this.#token = token;
    clearTimeout(this.#renewal);
    // When a fifth of its time is left. Where that fails, the next request is refused, and says why.
    this.#renewal = setTimeout(() => this.newToken().catch(() => {}), expires * 0.8);
  }

  #forget() {
    clearTimeout(this.#renewal);
    this.#token = undefined;
  }

  #headers() {
    return this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
  }

  async #ask(path, { method = "POST", headers, body } = {}) {
    // A login by form is answered with the way to the page, where there is nothing to fetch.
    const redirect = path === "/login" ? "manual" : "follow";
    const response = await fetch(path, { method, redirect, body, headers: { ...this.#headers(), ...headers } });
    if (response.ok || response.type === "opaqueredirect") {
      const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
      return isJson ? response.json() : undefined;
    }
    const text = await response.text();
    throw new Refused(response.status, text.startsWith("{") ? JSON.parse(text) : { code: "unknown", message: text });
  }
}
