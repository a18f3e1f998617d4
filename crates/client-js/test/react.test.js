// A component of React over a live connection, in a page of happy-dom, against a stream over HTTP.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Window } from "happy-dom";
import { createElement, StrictMode } from "react";
import { connect } from "../js/dualcast.js";
import { useLiveState, useMessages } from "./use-live.js";

/** How long anything that is waited for may take, in milliseconds. */
const deadline = 20_000;

test("a component of React shows the state and the messages, over a cut, and leaves nothing behind", async (t) => {
  const complaints = t.mock.method(console, "error", () => {});
  const window = new Window();
  for (const [name, value] of Object.entries({ window, document: window.document, navigator: window.navigator })) {
    // Newer versions of Node have a navigator of their own.
    Object.defineProperty(globalThis, name, { value, configurable: true });
  }
  t.after(() => window.close());
  const { createRoot } = await import("react-dom/client");
  const server = await stream(t);

  const live = connect(server.url, { transport: "sse" });
  t.after(() => live.close());
  const root = createRoot(document.body);
  root.render(createElement(StrictMode, null, createElement(Room, { live })));
  const shows = (text) => until(() => document.body.textContent === text, () => document.body.textContent);

  await shows("open: ");
  server.write('id: e-1\nevent: note\ntype: json\ndata: {"text":"hello"}\n\n');
  await shows("open: hello");

  server.refuses(true);
  server.cut();
  await shows("waiting: hello");
  server.refuses(false);
  await shows("open: hello");
  assert.equal(server.cursor(), "e-1");
  server.write('id: e-2\nevent: note\ntype: json\ndata: {"text":"again"}\n\n');
  await shows("open: hello, again");

  root.unmount();
  await shows("");
  server.write('id: e-3\nevent: note\ntype: json\ndata: {"text":"unseen"}\n\n');
  await until(() => live.cursor === "e-3", () => live.cursor);

  const other = createElement(Room, { live });
  createRoot(document.body).render(other);
  await shows("open: ");
  live.close();
  await shows("closed: ");
  assert.deepEqual(complaints.mock.calls.map(({ arguments: [complaint] }) => complaint), []);
});

function Room({ live }) {
  const { status } = useLiveState(live);
  const notes = useMessages(live, "note");
  return `${status}: ${notes.map(({ text }) => text).join(", ")}`;
}

/** A server of one stream, which tells each that comes where it stands. */
async function stream(t) {
  let response;
  let cursor;
  let isAway = false;
  const server = createServer((request, its) => {
    if (isAway) return its.writeHead(503).end();
    response = its;
    const { searchParams } = new URL(request.url, "http://localhost");
    cursor = searchParams.get("last-event-id") ?? undefined;
    its.writeHead(200, { "content-type": "text/event-stream" });
    its.write(`retry: 10\nid: ${cursor ?? "e-0"}\nevent: dualcast:heartbeat\ntype: json\ndata: {"interval":15000}\n\n`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    write: (text) => response.write(text),
    cut: () => response.destroy(),
    refuses: (is) => (isAway = is),
    cursor: () => cursor,
  };
}

async function until(isTrue, what) {
  const end = Date.now() + deadline;
  while (!isTrue()) {
    if (Date.now() > end) assert.fail(`waited ${deadline} ms in vain; there is: ${what()}`);
    await sleep(5);
  }
}
