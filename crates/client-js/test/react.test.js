// The hooks of docs/client.md in a component of React, in a page of happy-dom, against a stream over HTTP.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Window } from "happy-dom";
import { createElement, StrictMode, useCallback, useState } from "react";
import { useLive, useLiveState, useMessage } from "./hooks.js";

/** How long anything that is waited for may take, in milliseconds. */
const deadline = 20_000;

test("the guide shows the hooks that are tested", async () => {
  const guide = await readFile(new URL("../../../docs/client.md", import.meta.url), "utf8");
  const hooks = await readFile(new URL("hooks.js", import.meta.url), "utf8");
  const shown = guide.split("```jsx\n").slice(1).map((rest) => rest.split("```")[0]);
  assert.equal(shown.length, 1);
  assert.ok(hooks.endsWith(`\n\n${shown[0]}`), "below its head, hooks.js is what the guide shows");
});

test("a component of React shows the state and the messages, over a cut, and closes when it goes", async (t) => {
  const complaints = t.mock.method(console, "error", () => {});
  const window = new Window();
  for (const [name, value] of Object.entries({ window, document: window.document, navigator: window.navigator })) {
    // Newer versions of Node have a navigator of their own.
    Object.defineProperty(globalThis, name, { value, configurable: true });
  }
  t.after(() => window.close());
  const { createRoot } = await import("react-dom/client");
  const server = await stream(t);

  const root = createRoot(document.body);
  root.render(createElement(StrictMode, null, createElement(Room, { url: server.url })));
  t.after(() => root.unmount());
  const shows = (text) => until(() => document.body.textContent === text, () => document.body.textContent);

  await shows("open: ");
  server.write('id: e-1\nevent: note\ntype: json\ndata: {"text":"hello"}\n\n');
  await shows("open: hello");

  server.refuse(true);
  server.cut();
  await shows("waiting: hello");
  server.refuse(false);
  await shows("open: hello");
  assert.equal(server.cursor(), "e-1");
  server.write('id: e-2\nevent: note\ntype: json\ndata: {"text":"again"}\n\n');
  await shows("open: hello, again");

  root.unmount();
  await shows("");
  await until(() => server.open() === 0, () => `${server.open()} open streams`);
  assert.deepEqual(complaints.mock.calls.map(({ arguments: [complaint] }) => complaint), []);
});

function Room({ url }) {
  const live = useLive(url);
  const state = useLiveState(live);
  const [notes, setNotes] = useState([]);
  const add = useCallback(({ text }) => setNotes((before) => [...before, text]), []);
  useMessage(live, "note", add);
  return `${state?.status}: ${notes.join(", ")}`;
}

/** A server of event streams, which tells each client that comes where it stands. */
async function stream(t) {
  const open = new Set();
  let cursor;
  let isAway = false;
  const server = createServer((request, response) => {
    if (isAway) return response.writeHead(503).end();
    open.add(response);
    response.on("close", () => open.delete(response));
    cursor = new URL(request.url, "http://localhost").searchParams.get("last-event-id") ?? undefined;
    response.writeHead(200, { "content-type": "text/event-stream" });
    const heartbeat = `event: dualcast:heartbeat\ntype: json\ndata: {"interval":15000}`;
    response.write(`retry: 10\nid: ${cursor ?? "e-0"}\n${heartbeat}\n\n`);
  });
  // Where Node has a WebSocket, it is tried first.
  server.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 426 Upgrade Required\r\nconnection: close\r\n\r\n"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    write: (text) => open.forEach((response) => response.write(text)),
    cut: () => open.forEach((response) => response.destroy()),
    refuse: (is) => (isAway = is),
    cursor: () => cursor,
    open: () => open.size,
  };
}

async function until(isTrue, what) {
  const end = Date.now() + deadline;
  while (!isTrue()) {
    if (Date.now() > end) assert.fail(`waited ${deadline} ms in vain; there is: ${what()}`);
    await sleep(5);
  }
}
