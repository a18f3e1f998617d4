// The viewer of `examples/whiteboard`: the browser's own EventSource and nothing else, to whom all is shown and who can change nothing.

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { launchers } from "./browsers.mjs";
import { until } from "./until.mjs";
import { inWhiteboard, patience } from "./whiteboard.mjs";

/** Waits until the viewer has heard of all that was done; then it has the server's board. */
async function hasAll(viewer, scene) {
  const { board } = await scene.snapshot();
  await until(async () => isDeepStrictEqual((await viewer.board()).seen, board.seen), () => "the viewer has heard of all");
  assert.deepEqual(await viewer.board(), board);
}

inWhiteboard("whiteboard's viewer", launchers, (test) => {
  test("follows by EventSource alone, and sees all that there is", async (scene) => {
    const ada = await scene.join("Ada", { color: 3 });
    const before = await ada.makeNote(300, 300, "before <b>you</b> came");
    await ada.isSettled();
    const viewer = await scene.watch();
    await viewer.shows(`[data-id="${before}"] .text`, /^before <b>you<\/b> came$/);
    await viewer.shows("#lamp-word", /^EventSource$/);

    // People, of whom it is none.
    await viewer.shows("#people", /^AFollow Ada$/);
    assert.equal(await viewer.evaluate(() => whiteboard.people.count), 1);
    assert.equal(await ada.evaluate(() => whiteboard.people.count), 1);
    await scene.join("Bob", { transport: "sse" });
    // A page behind another draws nothing, in a browser whose tabs share a window.
    await viewer.tab.bringToFront();
    await viewer.sees(() => whiteboard.people.count === 2, [], "Bob is here");

    // Objects, also while they are drawn.
    await ada.take("pen");
    await ada.startDrag({ x: 500, y: 300 }, { x: 600, y: 340 }, { x: 700, y: 300 });
    await viewer.sees(() => document.querySelector("#world .drawing path") !== null, [], "it is drawn");
    await viewer.sees(() => document.querySelector(".avatar.is-busy")?.textContent === "AFollow Ada", [], "by Ada");
    await ada.tab.mouseUp();
    await viewer.sees(() => document.querySelectorAll("#world > .stroke").length === 1, [], "it is there");
    await ada.press("v");
    const at = await ada.place(before);
    await ada.tab.doubleClick(at.x, at.y);
    await ada.isWriting();
    await viewer.shows(`[data-id="${before}"] .editor-badge`, /^Ada is editing$/);
    await ada.press("Escape");
    await ada.has(before, { editing: null });
    await viewer.hides(".editor-badge");

    // Cursors, words and deeds.
    await ada.tab.point(640, 420, 3);
    await viewer.sees(() => document.querySelector(".cursor")?.textContent === "Ada", [], "Ada's cursor is there");
    await ada.say("hello");
    await viewer.click("#toggle");
    await viewer.shows("#deeds li:nth-child(1)", /^Ada added a line/);
    await viewer.click("#tab-chat");
    await viewer.shows("#words", /^Ada.*hello$/);
    await ada.isSettled();
    await hasAll(viewer, scene);

    const { requests } = viewer.network;
    assert.ok(requests.some(({ path }) => path.startsWith("/b/one/stream?")));
    for (const { method, path, isUpgrade } of requests) {
      assert.equal(method, "GET", path);
      assert.ok(!isUpgrade, path);
      assert.doesNotMatch(path, /dualcast|\/live/);
    }
  });

  test("comes back by itself after a cut, without what it has already", async (scene) => {
    const ada = await scene.join("Ada");
    const viewer = await scene.watch();
    const first = await ada.makeNote(300, 300, "first");
    await viewer.shows(`[data-id="${first}"]`, /./);
    viewer.network.refuse();
    await viewer.shows("#lamp-word", /^Reconnecting$/);
    await viewer.shows("#notice", /^The connection is lost\. Trying again\.$/);
    const asked = () => viewer.network.requests.filter(({ path }) => path.endsWith("/snapshot")).length;
    const before = asked();
    const second = await ada.makeNote(600, 300, "second");
    viewer.network.heal();
    await viewer.shows(`[data-id="${second}"] .text`, /^second$/, patience);
    await viewer.hides("#notice");
    assert.equal(asked(), before, "from where it was");
    await ada.isSettled();
    await hasAll(viewer, scene);
  });

  test("reads the board anew after a restart of the server", async (scene) => {
    const ada = await scene.join("Ada");
    const viewer = await scene.watch();
    const first = await ada.makeNote(300, 300, "first");
    await viewer.shows(`[data-id="${first}"]`, /./);
    await scene.restartServer(async () => viewer.shows("#lamp-word", /^Reconnecting$/));
    // An editor's page that is hidden does not ask for a connection.
    await ada.tab.bringToFront();
    await ada.isSettled(patience);
    const second = await ada.makeNote(600, 300, "second");
    await viewer.shows(`[data-id="${second}"] .text`, /^second$/, patience);
    await ada.isSettled();
    await hasAll(viewer, scene);
  });

  test("can change nothing", async (scene) => {
    const ada = await scene.join("Ada");
    const note = await ada.makeNote(300, 300, "hers");
    await ada.isSettled();
    const viewer = await scene.watch();
    await viewer.shows(`[data-id="${note}"]`, /./);
    // Nothing to do it with.
    for (const selector of ["[data-tool]", "#say-text", '[data-do="undo"]', '[data-do="delete"]', "#me", "textarea"]) {
      assert.equal(await viewer.evaluate((selector) => document.querySelectorAll(selector).length, selector), 0, selector);
    }
    assert.equal(await viewer.evaluate(() => typeof whiteboard.act), "undefined");
    // What an editor would do does nothing.
    const at = await viewer.place(note);
    await viewer.tab.doubleClick(at.x, at.y);
    await viewer.drag(at, { x: at.x + 50, y: at.y }, { x: at.x + 90, y: at.y });
    for (const key of ["Delete", "n", "Enter", "Control+z"]) await viewer.press(key);
    // And the server takes nothing.
    const post = async (path, headers = {}) => {
      const body = JSON.stringify({ event: "op", data: { client: "stranger", n: 1, changes: [{ set: "x", props: { x: 1 } }] } });
      const response = await fetch(path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body });
      return [response.status, response.status === 401 ? (await response.json()).code : ""];
    };
    assert.deepEqual(await viewer.evaluate(post, "/b/one/live"), [401, "no-token"]);
    assert.deepEqual(await viewer.evaluate(post, "/b/one/live?name=Eve&color=1", { authorization: "Bearer short" }), [401, "no-token"]);
    assert.equal((await viewer.evaluate(post, "/b/one/stream"))[0], 405);
    const { objects, activity, seen } = (await scene.snapshot()).board;
    assert.equal(objects[note].text, "hers");
    assert.equal(objects[note].x, (await ada.object(note)).x);
    assert.deepEqual([activity.length, Object.keys(seen).length], [2, 1]);
  });
});
