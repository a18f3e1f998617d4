// `examples/whiteboard` for those who have no mouse, hear a page instead of seeing it, or have weak eyes.

import assert from "node:assert/strict";
import { findHindrances } from "./axe.mjs";
import { launchChromium } from "./browsers.mjs";
import { inWhiteboard } from "./whiteboard.mjs";

const looks = [
  ["desktop, light", {}],
  ["desktop, dark", { isDark: true }],
  ["phone, light", { width: 390, height: 844, isPhone: true }],
  ["phone, dark", { width: 390, height: 844, isPhone: true, isDark: true }],
];

inWhiteboard("whiteboard", { chromium: launchChromium }, (test) => {
  for (const [number, [title, look]] of looks.entries()) {
    test(`has nothing that stands in the way of a screen reader, or of weak eyes: ${title}`, async (scene) => {
      const isFine = async (page, what, options) => {
        // Whatever comes in gently is there.
        await page.evaluate(() => Promise.all(document.getAnimations().filter(({ effect }) => effect.getComputedTiming().iterations !== Infinity).map(({ finished }) => finished.catch(() => {}))));
        // In the dark only the colours are others.
        const rules = look.isDark ? ["color-contrast"] : undefined;
        assert.deepEqual(await findHindrances(page, { ...options, rules }), [], what);
      };
      const bob = await scene.join("Bob", { color: 2 + number });
      const ids = [];
      for (let color = 0; color < 8; color++) {
        ids.push(await bob.evaluate((color) => whiteboard.act.add("note", { x: 220 * (color % 4), y: 220 * Math.floor(color / 4), w: 200, h: 200, color, text: `Colour ${color}` }), color));
      }
      await bob.evaluate(() => {
        whiteboard.act.add("rect", { x: 0, y: 460, w: 200, h: 100, color: 3 });
        whiteboard.act.add("ellipse", { x: 220, y: 460, w: 200, h: 100, color: 4 });
        whiteboard.act.add("stroke", { x: 440, y: 460, color: 5, width: 6, points: [0, 0, 100, 60, 200, 0] });
        whiteboard.act.say("Hello from Bob");
      });
      await bob.isSettled();

      const ada = await scene.join("Ada", { color: 3, ...look });
      await ada.sees(() => document.querySelectorAll("#world > .element").length === 11, [], "all is there");
      await bob.tab.point(500, 400);
      await ada.sees(() => document.querySelector(".cursor") !== null, [], "Bob's cursor is there");
      await isFine(ada.tab, "the board");
      await ada.evaluate((id) => document.querySelector(`[data-id="${id}"]`).focus(), ids[0]);
      await ada.evaluate(() => document.querySelector("[data-tool=select]").click());
      const at = await ada.place(ids[5]);
      await ada.tab.click(at.x, at.y);
      await ada.shows("#selected", /./s);
      await isFine(ada.tab, "a selection");
      await bob.evaluate((id) => whiteboard.act.edit(id), ids[1]);
      await ada.shows(`[data-id="${ids[1]}"] .editor-badge`, /^Bob is editing$/);
      await ada.press("Enter");
      await ada.isWriting();
      await isFine(ada.tab, "writing");
      await ada.press("Escape");
      await ada.press("Escape");

      await ada.click("#toggle");
      await ada.evaluate(() => whiteboard.act.say("Hello from Ada"));
      await ada.shows("#words", /Hello from Ada/);
      await isFine(ada.tab, "the chat");
      await ada.click("#tab-activity");
      await ada.shows("#deeds", /Bob added/);
      await isFine(ada.tab, "the activity");
      await ada.click("#panel-close");
      for (const [button, popover] of [["share", "share-popover"], ["me", "me-popover"], ["lamp", "connection-popover"], ["ink", "ink-popover"]]) {
        await ada.click(`#${button}`);
        await ada.shows(`#${popover}`, /./s);
        await isFine(ada.tab, popover);
        await ada.press("Escape");
        await ada.hides(`#${popover}`);
      }
      // Where the row of people has no room for it, the list is behind a number.
      await ada.evaluate(() => document.getElementById("people-popover").showPopover());
      await isFine(ada.tab, "the people");
      await ada.press("Escape");
      await ada.evaluate(() => document.querySelector('[data-do="help"]').click());
      await ada.shows("#help", /Keyboard shortcuts/);
      await isFine(ada.tab, "the keys", { isModal: true });
      await ada.press("Escape");
      ada.network.refuse();
      await ada.shows("#notice", /^Not connected/);
      // A text over its limit, in a toast later; and what is unsent.
      await ada.evaluate((id) => whiteboard.act.set(id, { text: "x".repeat(2_001) }), ids[7]);
      await isFine(ada.tab, "no connection");
      ada.network.heal();
      await ada.shows(".toast.bad", /not taken/, 30_000);
      await isFine(ada.tab, "an error");
      // The colours of the keys, with nothing over or under them.
      await ada.evaluate(() => {
        for (const element of document.body.children) if (element.id !== "help") element.style.display = "none";
        document.getElementById("help").show();
      });
      await isFine(ada.tab, "the colours of the keys");

      const viewer = await scene.watch(look);
      await viewer.sees(() => document.querySelectorAll("#world > .element").length === 11, [], "all is there");
      await isFine(viewer.tab, "the viewer");
      await viewer.click("#toggle");
      await viewer.shows("#deeds", /Bob added/);
      await isFine(viewer.tab, "the viewer's activity");

      const start = await scene.another(ada, "/");
      await start.shows("#recent-list", /^one/);
      await start.click("#open-name");
      await start.type("!");
      await start.press("Enter");
      await start.shows("#problem", /./);
      await isFine(start.tab, "the start page");
    });
  }

  test("is used by keyboard alone", async (scene) => {
    const bob = await scene.join("Bob");
    const ada = await scene.join("Ada");
    await goTo(ada, '[data-tool="note"]');
    await ada.press("Enter");
    // Pressed again it puts one into the middle.
    const note = await ada.making(() => ada.press("Enter"));
    await ada.isWriting();
    await ada.type("without a mouse");
    await ada.press("Escape");
    await bob.has(note, { text: "without a mouse", editing: null });
    await hasFocus(ada, `[data-id="${note}"]`);
    const { x, y } = await ada.object(note);
    for (const key of ["ArrowRight", "ArrowRight", "Shift+ArrowDown"]) await ada.press(key);
    await bob.has(note, { x: x + 8, y: y + 40 });
    await ada.press("Control+z");
    await bob.has(note, { x, y });
    await ada.press("Control+Shift+z");
    await bob.has(note, { x: x + 8, y: y + 40 });
    await ada.press("Alt+6");
    await bob.has(note, { color: 5 });
    // The same by what belongs to the selection.
    await goTo(ada, '#selected-colors [data-color="2"]');
    await ada.press("Enter");
    await bob.has(note, { color: 2 });
    await hasFocus(ada, '#selected-colors [data-color="2"]');
    await goTo(ada, `[data-id="${note}"]`);
    await ada.press("Enter");
    await ada.isWriting();
    await ada.press("End");
    await ada.type("!");
    await ada.press("Control+Enter");
    await bob.has(note, { text: "without a mouse!", editing: null });

    const rectangle = await ada.making(async () => {
      await ada.press("r");
      await ada.press("Enter");
    });
    await bob.has(rectangle, { kind: "rect" });
    await ada.press("Delete");
    await bob.has(rectangle, { deleted: true });
    await keepsFocus(ada);
    await ada.press("Control+z");
    await bob.has(rectangle, { deleted: false });

    await ada.press("c");
    await hasFocus(ada, "#say-text");
    await ada.type("hello");
    await ada.press("Enter");
    await bob.click("#toggle");
    await bob.shows("#words", /Ada.*hello/);
    await ada.press("Escape");
    await ada.hides("#panel");
    await hasFocus(ada, "#toggle");
    await ada.press("Enter");
    await ada.shows("#words", /hello/);
    await goTo(ada, "#tab-chat");
    await ada.press("ArrowRight");
    await hasFocus(ada, "#tab-activity");
    await ada.shows("#deeds", /You/);
    await goTo(ada, "#panel-close");
    await ada.press("Enter");
    await hasFocus(ada, "#toggle");

    await ada.press("?");
    await ada.shows("#help", /Keyboard shortcuts/);
    await ada.press("Escape");
    await ada.hides("#help");
    await hasFocus(ada, "#toggle");
    for (const [button, popover] of [["#lamp", "#connection-popover"], ["#me", "#me-popover"], ["#share", "#share-popover"]]) {
      await goTo(ada, button);
      await ada.press("Enter");
      await ada.shows(popover, /./s);
      await ada.press("Escape");
      await ada.hides(popover);
      await hasFocus(ada, button);
    }
    await goTo(ada, "#lamp");
    await ada.press("Enter");
    await goTo(ada, '#transports [value="ws"]', { limit: 6 });
    await ada.press("ArrowRight");
    await ada.shows("#lamp-word", /^SSE \+ POST$/);
  });

  test("takes the focus through everything, where it is seen, and back to where it began", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    await bob.makeNote(300, 300, "one");
    await bob.makeNote(600, 300, "two");
    await bob.tab.point(0, 0);
    await ada.sees(() => document.querySelectorAll("#world > .note").length === 2, [], "both are there");
    await ada.press("c");
    await ada.press("Escape");
    const seen = await around(ada, "Tab");
    for (const wanted of ["home", "share", "me", "lamp", "toggle", "undo", "select", "note", "pen", "eraser", "ink", "zoom-in", "help", "Board"]) {
      assert.ok(seen.some((what) => what.includes(wanted)), `${wanted} among ${seen}`);
    }
    assert.equal(seen.filter((what) => what.startsWith("element")).length, 2);
    // With the panel open, too, and the other way around.
    await ada.press("c");
    const back = await around(ada, "Shift+Tab");
    for (const wanted of ["say-text", "tab-chat", "panel-close", "words", "lamp", "Board"]) assert.ok(back.some((what) => what.includes(wanted)), `${wanted} among ${back}`);
  });

  test("leads past the bars to the board", async (scene) => {
    const ada = await scene.join("Ada");
    await ada.press("Tab");
    await hasFocus(ada, ".skip");
    await ada.press("Enter");
    await hasFocus(ada, "#board");
  });
});

/** Presses Tab until the focus is there. */
async function goTo(page, selector, { limit = 60 } = {}) {
  for (let i = 0; i < limit; i++) {
    if (await page.evaluate((selector) => document.activeElement.matches(selector), selector)) return isSeen(page);
    await page.press("Tab");
    // After the last of the page it is the browser's turn, which has nothing here: then the page has no focus for one press.
    if (await page.evaluate(() => document.activeElement === document.body)) await page.press("Tab");
    await keepsFocus(page);
  }
  assert.fail(`${limit} presses of Tab do not lead to ${selector}`);
}

async function hasFocus(page, selector) {
  await page.sees((selector) => document.activeElement.matches(selector), [selector], `${selector} has the focus`);
  await isSeen(page);
}

/** The focus is nowhere lost. */
async function keepsFocus(page) {
  await page.sees(() => document.hasFocus() && document.activeElement !== document.body, [], "something has the focus");
}

/** Whatever has the focus is seen, with something around it that says so, and nothing lies over its middle. */
async function isSeen(page) {
  const look = () => {
    const element = document.activeElement;
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
    const shown = element.matches("input[type=radio]") ? element.closest("label") : element;
    const { left, top, width, height } = shown.getBoundingClientRect();
    const over = document.elementFromPoint(left + width / 2, top + height / 2);
    const parts = [element, ...(element.labels ?? []), ...[...(element.labels ?? [])].flatMap((label) => [...label.children])];
    const isMarked = parts.some((part) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(part);
      return (outlineStyle !== "none" && parseFloat(outlineWidth) >= 1) || boxShadow !== "none";
    });
    return {
      what: element.outerHTML.slice(0, 120),
      isMarked: isMarked || (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none",
      isVisible: shown.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && width > 0 && height > 0,
      isInWindow: left + width / 2 >= 0 && top + height / 2 >= 0 && left + width / 2 <= innerWidth && top + height / 2 <= innerHeight,
      isOnTop: over !== null && (shown.contains(over) || over.contains(shown) || element.id === "board"),
    };
  };
  let found;
  const isFine = async () => {
    found = await page.evaluate(look);
    return found.isMarked && found.isVisible && found.isInWindow && found.isOnTop;
  };
  for (let i = 0; i < 100 && !(await isFine()); i++) await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  assert.ok(await isFine(), JSON.stringify(found));
}

/** Goes on with this key until the focus is where it was first, and tells what it came by. It is seen everywhere. */
async function around(page, key) {
  const mark = () => {
    const element = document.activeElement;
    globalThis.begin ??= element;
    const { id, dataset, className, ariaLabel } = element;
    return { isBegin: element === begin, what: [`${className}`.trim(), id, dataset.do, dataset.tool, ariaLabel].filter(Boolean).join(" ") };
  };
  await page.evaluate(() => void delete globalThis.begin);
  await page.press(key);
  const seen = [];
  for (let i = 0; i < 90; i++) {
    if (await page.evaluate(() => document.activeElement !== document.body)) {
      const { isBegin, what } = await page.evaluate(mark);
      if (isBegin && seen.length > 0) return seen;
      seen.push(what);
      await isSeen(page);
    }
    await page.press(key);
  }
  assert.fail(`it does not come back: ${seen}`);
}
