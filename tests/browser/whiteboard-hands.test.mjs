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
    // The others are told a moment later, and what they are told last counts.
    for (const page of [ada, eve]) await isDrawnAt(page, "n", -100);
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

  test("shows lines from afar, and where what is drawn comes to its end", async (scene) => {
    const props = { x: 0, y: 0, color: 1, z: 1, width: 3, points: [0, 0, 3_000, 2_000] };
    await scene.change([{ add: "s", kind: "stroke", props }, { add: "r", kind: "rect", props: { x: 0, y: 3_000, w: 900, h: 900, color: 2, z: 2 } }]);
    const ada = await scene.join("Ada");
    const lookFrom = (x, y, zoom) =>
      ada.evaluate((x, y, zoom) => {
        const { width, height } = document.getElementById("board").getBoundingClientRect();
        whiteboard.camera.centre({ x, y }, { width, height }, zoom);
      }, x, y, zoom);
    const widthOnScreen = (selector) =>
      ada.evaluate(async (selector) => {
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        return Number.parseFloat(getComputedStyle(document.querySelector(selector)).strokeWidth) * whiteboard.camera.zoom;
      }, selector);
    for (const zoom of [0.05, 0.3, 1, 2]) {
      await lookFrom(1_500, 1_500, zoom);
      for (const selector of ['[data-id="s"] path', '[data-id="r"] rect']) {
        const width = await widthOnScreen(selector);
        assert.ok(zoom < 0.5 ? width >= 1 && width <= 2.1 : width === 3 * zoom, `${selector} is ${width} px at ${zoom}`);
      }
      assert.ok((await widthOnScreen('[data-id="s"] .target')) >= 8, `a line can be hit at ${zoom}`);
    }

    // As large as it may be, already while it is drawn.
    await lookFrom(0, 0, 0.05);
    await ada.take("rect");
    await ada.startDrag({ x: 30, y: 300 }, { x: 600, y: 400 }, { x: 1_260, y: 500 });
    const outline = await ada.evaluate(() => document.querySelector(".outline").getBoundingClientRect().width);
    const rect = await ada.making(() => ada.tab.mouseUp());
    assert.ok(Math.abs(outline - 1_000) < 1, `the outline is ${outline} px wide`);
    assert.equal((await ada.object(rect)).w, 20_000);

    // Beyond the board's end a line is at the end.
    await lookFrom(-100_000, 0, 0.05);
    await ada.take("pen");
    const stroke = await ada.making(() => ada.drag({ x: 200, y: 300 }, { x: 400, y: 300 }, { x: 800, y: 300 }, { x: 800, y: 500 }));
    const { x, points } = await ada.object(stroke);
    const xs = points.filter((_, i) => i % 2 === 0).map((value) => value + x);
    assert.equal(Math.min(...xs), -100_000);
    assert.ok(Math.abs(Math.max(...xs) - (-100_000 + 160 / 0.05)) < 50, `it ends at ${Math.max(...xs)}`);
    await ada.isSettled();
    assert.equal((await scene.snapshot()).board.objects[stroke].kind, "stroke");
  });
});
