// Undo on `examples/whiteboard`, with a server that keeps what it keeps, and others who go on.

import assert from "node:assert/strict";
import { launchChromium } from "./browsers.mjs";
import { inWhiteboard, patience } from "./whiteboard.mjs";

inWhiteboard("whiteboard, undo", { chromium: launchChromium }, (test) => {
  test("takes no note away that somebody else writes on, or has written on, and says so", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    const props = { x: 0, y: 0, w: 200, h: 200, color: 3, text: "" };
    const note = await ada.evaluate((props) => whiteboard.act.add("note", props), props);
    await bob.object(note);
    const at = await bob.place(note);
    await bob.tab.doubleClick(at.x, at.y);
    await bob.isWriting();
    await ada.has(note, { editing: await bob.evaluate(() => whiteboard.me) });
    await ada.press("Control+z");
    await ada.shows(".toast.bad", /^Bob is editing this note\.$/);
    const second = await ada.evaluate((props) => whiteboard.act.add("note", { ...props, x: 300 }), props);
    await bob.type("an hour of work");
    await bob.press("Escape");
    await bob.isSettled();
    await ada.has(note, { text: "an hour of work", editing: null, deleted: false });
    // Her second note goes.
    await ada.press("Control+z");
    await bob.has(second, { deleted: true });
    assert.deepEqual((await bob.objects()).map(({ id, text }) => [id, text]), [[note, "an hour of work"]]);
  });

  test("brings back all that was deleted at once, more than the board keeps", async (scene) => {
    const rect = (i) => ({ x: 30 * (i % 60), y: 30 * Math.floor(i / 60), w: 20, h: 20, color: i % 8, z: i });
    for (let from = 0; from < 1_200; from += 150) {
      await scene.change(Array.from({ length: 150 }, (_, i) => ({ add: `o${from + i}`, kind: "rect", props: rect(from + i) })));
    }
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    const seen = async (page) => (await page.objects()).map(({ id, x, y, z, color }) => ({ id, x, y, z, color }));
    const before = await seen(bob);
    assert.equal(before.length, 1_200);
    for (const happens of [() => ada.isSettled(patience), () => {}]) {
      await ada.press("Control+a");
      await ada.press("Delete");
      await happens();
      await ada.press("Control+z");
      await ada.isSettled(patience);
      const heard = (await ada.board()).seen;
      await bob.sees((heard) => JSON.stringify(whiteboard.board().seen) === heard, [JSON.stringify(heard)], "Bob has heard all that Ada has");
      assert.deepEqual(await seen(bob), before);
      assert.deepEqual(await seen(ada), before);
    }
    assert.deepEqual(await ada.evaluate(() => document.getElementById("toasts").textContent), "");
  });
});
