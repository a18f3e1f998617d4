// The hooks that docs/client.md shows for React, word for word, in a component of the real React in a page, in its
// development build and in `StrictMode`: against the real server.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "../../crates/client-js/node_modules/esbuild/lib/main.js";
import { inEachBrowser } from "./scene.mjs";
import { until } from "./until.mjs";

const client = fileURLToPath(new URL("../../crates/client-js", import.meta.url));
const guide = await readFile(new URL("../../docs/client.md", import.meta.url), "utf8");
const [, section] = guide.split("\n### React\n");
const [, hooks] = section.match(/```jsx\n([^]*?)```/);

/** What a person would write around the hooks, and how a test gets at it. */
const room = `
  import { StrictMode, useCallback } from "react";
  import { createRoot } from "react-dom/client";

  function Room({ url }) {
    const live = useLive(url);
    const state = useLiveState(live);
    const [notes, setNotes] = useState([]);
    const add = useCallback((note, { id }) => setNotes((notes) => [...notes, { id, note }]), []);
    useMessage(live, "note", add);
    globalThis.shown.push(state?.status ?? "none");
    return (
      <main>
        <p>{state?.status}</p>
        <ol>{notes.map(({ id, note }) => <li key={id}>{note}</li>)}</ol>
      </main>
    );
  }

  globalThis.shown = [];
  const root = createRoot(document.body);
  globalThis.show = (url) => root.render(<StrictMode><Room url={url} /></StrictMode>);
  globalThis.unmount = () => root.unmount();
`;

const bundled = await build({
  stdin: { contents: hooks + room, loader: "jsx", resolveDir: client },
  jsx: "automatic",
  jsxDev: true,
  define: { "process.env.NODE_ENV": '"development"' },
  // The application serves it.
  alias: { dualcast: "/dualcast.js" },
  external: ["/dualcast.js"],
  bundle: true,
  format: "esm",
  write: false,
});
const script = bundled.outputFiles[0].text;

inEachBrowser((test) => {
  test("shows the state and each message once, and leaves nothing behind", async ({ fixture, page }) => {
    const react = await openRoom(page, "/live?channels=news");
    await react.shows("open", []);
    await fixture.publish("news", "not a note");
    await react.publishes(fixture, "news", ["1", "2", "3"]);
    await react.shows("open", ["1", "2", "3"]);
    // StrictMode mounts it twice: one connection is left of that, which is heard once.
    await isFollowedOnce(fixture);
    const shown = await page.evaluate(() => globalThis.shown);
    assert.deepEqual([...new Set(shown)], ["none", "connecting", "open"]);

    await react.unmount();
    await fixture.idle();
    await react.publishes(fixture, "news", ["unheard"]);
    assert.deepEqual(page.tab.complaints, []);
  });

  test("shows that it is away, and what was missed, once", async ({ fixture, network, page }) => {
    const react = await openRoom(page, "/live?channels=news");
    await react.shows("open", []);
    await react.publishes(fixture, "news", ["1"]);
    await react.shows("open", ["1"]);
    network.refuse();
    await react.shows("waiting", ["1"]);
    await react.publishes(fixture, "news", ["2", "3"]);
    network.heal();
    await react.shows("open", ["1", "2", "3"]);
    await react.publishes(fixture, "news", ["4"]);
    await react.shows("open", ["1", "2", "3", "4"]);
    await isFollowedOnce(fixture);
    await react.unmount();
    await fixture.idle();
  });

  test("goes to another room, and lets go of the first", async ({ fixture, page }) => {
    const react = await openRoom(page, "/live?channels=first");
    await react.shows("open", []);
    await page.evaluate(() => show("/live?channels=second"));
    await until(async () => (await fixture.state("first", "second")).followers.second === 1, () => "it follows the second");
    await until(async () => (await fixture.state("first")).followers.first === 0, () => "it does not follow the first");
    await react.publishes(fixture, "first", ["unheard"]);
    await react.publishes(fixture, "second", ["heard"]);
    await react.shows("open", ["heard"]);
    assert.deepEqual(page.tab.complaints, []);
    await react.unmount();
    await fixture.idle();
  });
});

async function openRoom(page, url) {
  await page.evaluate((script) => {
    const element = document.createElement("script");
    element.type = "module";
    element.textContent = script;
    document.head.append(element);
  }, script);
  await until(() => page.evaluate(() => Boolean(globalThis.show)), () => "the page's script has run");
  await page.evaluate((url) => show(url), url);
  return new Room(page);
}

/** One session is left, once the server has let go of the other. */
async function isFollowedOnce(fixture) {
  await until(async () => (await fixture.state()).sessions === 1, () => "one session is left");
}

class Room {
  #page;

  constructor(page) {
    this.#page = page;
  }

  async publishes(fixture, channel, texts) {
    for (const text of texts) await fixture.publish(channel, text, { event: "note" });
  }

  /** Waits until the page shows just this. */
  async shows(status, notes) {
    const look = () => [document.querySelector("p")?.textContent, ...[...document.querySelectorAll("li")].map((item) => item.textContent)];
    let shown;
    const isShown = async () => JSON.stringify((shown = await this.#page.evaluate(look))) === JSON.stringify([status, ...notes]);
    await until(isShown, () => `the page shows ${[status, ...notes]}; it shows: ${shown}`);
  }

  async unmount() {
    await this.#page.evaluate(() => unmount());
  }
}
