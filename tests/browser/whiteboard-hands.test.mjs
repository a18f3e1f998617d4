// What hands do on `examples/whiteboard` while something else happens: a tool changed in mid-drag, an object that another one drags as well.

import assert from "node:assert/strict";
import { launchChromium } from "./browsers.mjs";
import { inWhiteboard } from "./whiteboard.mjs";

const noteAt = (x, text = "n") => ({ x, y: 0, w: 200, h: 200, color: 3, z: 1_000_000, text });

/** Where objects are on the board, as the page has drawn them. */
async function isDrawnAt(page, id, x) {
  const isThere = (id, x) => document.querySelector(`#world > [data-id="${id}"]`)?.style.translate.startsWith(`${x}px`);
  await page.sees(isThere, [id, x], `${id} is drawn at ${x}`);
}

inWhiteboard("whiteboard, hands", { chromium: launchChromium }, (test) => {
  test("lets go of what a tool has in hand when another is taken by its key", async (scene) => {
    await scene.change([{ add: "n", kind: "note", props: noteAt(0) }, { add: "m", kind: "note", props: noteAt(300) }]);
    const ada = await scene.join("Ada");
    const eve = await scene.watch();
    const drawings = (page) => page.evaluate(() => document.querySelectorAll("#world .drawing").length);

    await ada.take("pen");
    await ada.startDrag({ x: 200, y: 650 }, { x: 400, y: 670 });
    assert.equal(await drawings(ada), 1);
    await ada.press("v");
    await ada.tab.mouseUp();
    assert.equal(await drawings(ada), 0);

    const at = await ada.place("m");
    await ada.startDrag(at, { x: at.x + 150, y: at.y + 100 });
    await ada.sees(() => document.querySelector('[data-id="m"]').style.translate !== "300px 0px", [], "it is dragged");
    await ada.press("p");
    await isDrawnAt(ada, "m", 300);
    await ada.tab.mouseUp();
    await scene.change([{ set: "m", props: { x: -300 } }]);
    for (const page of [ada, eve]) await isDrawnAt(page, "m", -300);
    // What is selected next has its buttons, and its handles.
    await ada.press("v");
    const other = await ada.place("n");
    await ada.tab.click(other.x, other.y);
    await ada.shows("#selected", /./s);
    await ada.shows('[data-handle="se"]', /^$/);

    await ada.press("Escape");
    await ada.take("eraser");
    await ada.startDrag({ x: other.x - 10, y: other.y }, other);
    await ada.sees(() => document.querySelector('[data-id="n"]').classList.contains("is-erased"), [], "it is about to go");
    await ada.press("v");
    await ada.tab.mouseUp();
    assert.equal(await ada.evaluate(() => document.querySelector(".is-erased")), null);
    await ada.isSettled();
    const { objects } = (await scene.snapshot()).board;
    assert.deepEqual(Object.entries(objects).map(([id, { x, deleted }]) => [id, x, deleted]), [["m", -300, false], ["n", 0, false]]);
  });

  test("shows where another drags what one has selected, and where it comes to lie", async (scene) => {
    await scene.change([{ add: "n", kind: "note", props: noteAt(0) }]);
    const ada = await scene.join("Ada");
    const eve = await scene.watch();
    await scene.say("draw", { id: "n", props: { x: 60, y: 0, w: 200, h: 200 } });
    await isDrawnAt(ada, "n", 60);
    const at = await ada.place("n");
    await ada.tab.click(at.x, at.y);
    await ada.shows("#selected", /./s);
    await scene.say("draw", { id: "n", props: { x: 90, y: 0, w: 200, h: 200 } });
    await isDrawnAt(ada, "n", 90);
    await scene.say("draw", { id: "n", end: true });
    await scene.change([{ set: "n", props: { x: 120 } }]);
    for (const page of [ada, eve]) await isDrawnAt(page, "n", 120);
    await scene.change([{ set: "n", props: { x: -200 } }]);
    for (const page of [ada, eve]) await isDrawnAt(page, "n", -200);
    assert.equal(await ada.evaluate(() => document.querySelector(".is-moved-by-other")), null);

    // What one has in hand is where one's own hand is.
    const from = await ada.place("n");
    await ada.startDrag(from, { x: from.x + 50, y: from.y }, { x: from.x + 100, y: from.y });
    await isDrawnAt(ada, "n", -100);
    await scene.say("draw", { id: "n", props: { x: 500, y: 0, w: 200, h: 200 } });
    await isDrawnAt(eve, "n", 500);
    await isDrawnAt(ada, "n", -100);
    await ada.tab.mouseUp();
    for (const page of [ada, eve]) await isDrawnAt(page, "n", -100);
  });

  test("pastes all that was copied, and says how much of a text a note has no room for", async (scene) => {
    const rect = (i) => ({ x: 30 * (i % 60), y: 30 * Math.floor(i / 60), w: 20, h: 20, color: 1, z: i });
    for (let from = 0; from < 600; from += 150) {
      await scene.change(Array.from({ length: 150 }, (_, i) => ({ add: `o${from + i}`, kind: "rect", props: rect(from + i) })));
    }
    const ada = await scene.join("Ada");
    await ada.press("Control+a");
    await ada.press("Control+c");
    await ada.press("Control+v");
    await ada.sees(() => Object.keys(whiteboard.shown()).length === 1_200, [], "all is there twice");
    await ada.isSettled();

    const paste = (target, text) =>
      ada.evaluate(
        (target, text) => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/plain", text);
          document.querySelector(target).dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
        },
        target,
        text,
      );
    const note = await ada.making(() => paste("#board", "😀".repeat(5_000)));
    await ada.shows(".toast.bad", /^A note has room for 2,000 characters: the last 3,000 characters are left out\.$/);
    await ada.isSettled();
    assert.equal((await scene.snapshot()).board.objects[note].text, "😀".repeat(2_000));
    await ada.press("Enter");
    await ada.isWriting();
    await ada.press("Control+a");
    await paste(".text-editor", "word ".repeat(2_000));
    await ada.shows(".toast.bad:last-child", /the end of what you pasted is left out\.$/);
  });
});
