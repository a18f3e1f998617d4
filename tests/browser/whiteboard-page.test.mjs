// The page of `examples/whiteboard` as people use it together: what one does by mouse, fingers and keyboard, another sees.

import assert from "node:assert/strict";
import { launchChromium, launchers } from "./browsers.mjs";
import { until } from "./until.mjs";
import { inWhiteboard, patience } from "./whiteboard.mjs";

const html = `<b>bold</b> & <img src="x" onerror="document.title = 'broken'">`;

inWhiteboard("whiteboard", launchers, (test) => {
  for (const transport of ["ws", "sse"]) {
    test(`shows to others what one writes, draws, moves, makes larger, colours and deletes, on ${transport}`, async (scene) => {
      const ada = await scene.join("Ada", { transport });
      const bob = await scene.join("Bob", { transport });
      await ada.shows("#lamp-word", transport === "ws" ? /^WebSocket$/ : /^SSE \+ POST$/);

      const note = await ada.makeNote(300, 300, html);
      await bob.has(note, { kind: "note", text: html, by: await ada.evaluate(() => whiteboard.me), editing: null });
      // What is known is drawn with the next frame.
      await bob.sees((id, html) => document.querySelector(`[data-id="${id}"] .text`).textContent === html, [note, html], "the words as they were written");
      assert.equal(await bob.evaluate(() => document.querySelectorAll(".element img, .element b").length), 0);

      await ada.take("pen");
      const stroke = await ada.making(() => ada.drag({ x: 600, y: 200 }, { x: 700, y: 260 }, { x: 800, y: 200 }));
      const drawn = await bob.object(stroke);
      assert.equal(drawn.kind, "stroke");
      assert.ok(drawn.points.length >= 6, `it has ${drawn.points.length / 2} points`);
      for (const [tool, x] of [["rect", 600], ["ellipse", 900]]) {
        await ada.take(tool);
        const shape = await ada.making(() => ada.drag({ x, y: 400 }, { x: x + 200, y: 520 }));
        const { kind, w, h } = await bob.object(shape);
        assert.deepEqual({ kind, w, h }, { kind: tool, w: 200, h: 120 });
      }

      // While it is dragged already, the other sees where it goes.
      const from = await ada.place(note);
      const before = await ada.object(note);
      await ada.startDrag(from, { x: from.x + 70, y: from.y }, { x: from.x + 120, y: from.y + 60 });
      const isMoving = (id, x) => {
        const { classList, style } = document.querySelector(`[data-id="${id}"]`);
        return classList.contains("is-moved-by-other") && style.translate.startsWith(`${x}px`);
      };
      await bob.sees(isMoving, [note, before.x + 120], "the note moves");
      assert.equal((await bob.object(note)).x, before.x, "but it is nowhere else yet");
      await ada.tab.mouseUp();
      await bob.has(note, { x: before.x + 120, y: before.y + 60 });

      const corner = await ada.middleOf('[data-handle="se"]');
      await ada.drag(corner, { x: corner.x + 30, y: corner.y + 20 }, { x: corner.x + 60, y: corner.y + 40 });
      await bob.has(note, { w: before.w + 60, h: before.h + 40, x: before.x + 120 });
      await ada.click('#selected-colors [data-color="5"]');
      await bob.has(note, { color: 5 });

      await ada.press("Delete");
      await bob.has(note, { deleted: true });
      await bob.hides(`#world [data-id="${note}"]`);
      for (const [keys, deleted] of [["Control+z", false], ["Control+Shift+z", true], ["Control+z", false]]) {
        await ada.press(keys);
        await bob.has(note, { deleted });
      }

      await ada.isSettled();
      assert.deepEqual(await bob.objects(), await ada.objects());
      // A page behind another is drawn later.
      for (const page of [ada, bob]) await page.sees(() => document.querySelectorAll("#world > .element").length === 4, [], "all is drawn");
      const isDrawn = async () => JSON.stringify(await bob.drawn()) === JSON.stringify(await ada.drawn());
      await until(isDrawn, () => "both have drawn the same");
    });
  }
});

inWhiteboard("whiteboard", { chromium: launchChromium }, (test) => {
  test("undoes what one has done oneself, and leaves what others did", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    const note = await ada.makeNote(400, 300, "ours");
    await bob.has(note, { text: "ours", editing: null });
    const { x, color } = await ada.object(note);
    const at = await bob.place(note);
    await bob.tab.click(at.x, at.y);
    await bob.click('#selected-colors [data-color="6"]');
    await ada.has(note, { color: 6 });
    await ada.drag(at, { x: at.x + 40, y: at.y }, { x: at.x + 80, y: at.y });
    await bob.has(note, { x: x + 80 });
    await ada.press("Control+z");
    await bob.has(note, { x, color: 6, text: "ours" });
    await ada.click('[data-do="redo"]');
    await bob.has(note, { x: x + 80, color: 6 });
    await bob.click('[data-do="undo"]');
    await ada.has(note, { x: x + 80, color });

    // What both have moved is where the last has put it: whose it is not any more does not come back.
    const there = await bob.place(note);
    await bob.drag(there, { x: there.x, y: there.y + 50 }, { x: there.x, y: there.y + 100 });
    const moved = await bob.object(note);
    await ada.has(note, { y: moved.y });
    const here = await ada.place(note);
    await ada.drag(here, { x: here.x, y: here.y + 20 }, { x: here.x, y: here.y + 40 });
    await bob.has(note, { y: moved.y + 40 });
    await bob.press("Control+z");
    await bob.isSettled();
    await ada.isSettled();
    assert.equal((await ada.object(note)).y, moved.y + 40);
  });

  test("shows who writes on a note, and keeps it from others until that is done, or who did is gone", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    const note = await ada.makeNote(400, 300, "first");
    await bob.has(note, { text: "first", editing: null });
    const at = await ada.place(note);
    const badge = `[data-id="${note}"] .editor-badge`;
    await ada.tab.doubleClick(at.x, at.y);
    await ada.isWriting();
    await bob.shows(badge, /^Ada is editing$/);
    // Letter by letter.
    await ada.type("second");
    await bob.has(note, { text: "second" });

    await bob.tab.doubleClick(at.x, at.y);
    await bob.shows(".toast.bad", /^Ada is editing this note\.$/);
    await bob.press("Delete");
    await bob.type("x");
    await bob.isSettled();
    await ada.has(note, { text: "second", deleted: false });
    await ada.press("Escape");
    await bob.hides(badge);

    await ada.tab.doubleClick(at.x, at.y);
    await bob.shows(badge, /^Ada is editing$/);
    await ada.close();
    await bob.hides(badge, patience);
    await bob.tab.doubleClick(at.x, at.y);
    await bob.isWriting();
    await bob.type("third");
    await bob.press("Escape");
    await bob.isSettled();
    assert.equal((await scene.snapshot()).board.objects[note].text, "third");
  });

  test("lets the first of two who write at once go on, and tells the other, who keeps the words", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    const note = await ada.makeNote(400, 300, "old");
    await bob.has(note, { text: "old", editing: null });
    const at = await bob.place(note);
    // What Bob sends gets lost, and he does not know: so Ada comes first.
    bob.network.swallow();
    await bob.tab.doubleClick(at.x, at.y);
    await bob.isWriting();
    await bob.type("by Bob");
    await ada.tab.doubleClick(at.x, at.y);
    await ada.isWriting();
    await ada.type("by Ada");
    await bob.shows(".toast.bad", /^Ada began to edit this note before you\. What you wrote:/, patience);
    await bob.shows(".kept-text", /^by Bob$/);
    bob.network.heal();
    bob.network.cut();
    await bob.isSettled(patience);
    await ada.press("Escape");
    await ada.isSettled();
    for (const page of [ada, bob]) await page.has(note, { text: "by Ada", editing: null });
  });

  test("shows the cursors of others with their names, until they leave", async (scene) => {
    const ada = await scene.join("Ada", { color: 4 });
    const bob = await scene.join("Bob", { transport: "sse" });
    for (const [x, y] of [[300, 300], [500, 420]]) {
      await ada.tab.point(x, y, 4);
      const isThere = (x, y) => {
        const cursor = document.querySelector(".cursor");
        const [left, top] = cursor?.style.translate.match(/[\d.-]+/g).map(Number) ?? [];
        return Math.hypot(left - x, top - y) < 2 && cursor.textContent === "Ada" && cursor.dataset.color === "4";
      };
      await bob.sees(isThere, [x, y], `Ada's cursor is at ${x}, ${y}`);
    }
    assert.equal(await ada.evaluate(() => document.querySelectorAll(".cursor").length), 0, "nobody's own");
    // Nobody has a cursor who does not move it for a while, and nobody who is gone.
    await ada.tab.point(520, 420);
    await bob.sees(() => document.querySelector(".cursor") !== null, [], "it is there");
    await ada.close();
    await bob.hides(".cursor", patience);
  });

  test("counts who is here, one with two pages once, and shows what they are called now", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob", { transport: "sse" });
    const names = async (page, expected, patience) => {
      const shown = (...expected) => {
        const names = [...document.querySelectorAll("#everybody-list .who")].map(({ firstChild }) => firstChild.textContent);
        return JSON.stringify(names.sort()) === JSON.stringify(expected);
      };
      await page.sees(shown, expected, `these are here: ${expected}`, patience);
    };
    await names(bob, ["Ada", "Bob (you)"]);
    const second = await scene.another(ada, "/b/one");
    await second.isReady();
    await names(second, ["Ada (you)", "Bob"]);
    const cleo = await scene.join("Cleo");
    await names(bob, ["Ada", "Bob (you)", "Cleo"]);
    await cleo.shows("#people", /^AFollow AdaBFollow Bob$|^BFollow BobAFollow Ada$/);
    assert.equal(await bob.evaluate(() => whiteboard.people.count), 3);

    await ada.click("#me");
    await ada.shows("#me-popover", /^\s*You/);
    await ada.press("Control+a");
    await ada.type("   ");
    await ada.press("Enter");
    await ada.shows("#me-problem", /at least one character/);
    await ada.press("Control+a");
    await ada.type("Adele <i>");
    await ada.press("Enter");
    await ada.hides("#me-popover");
    for (const page of [bob, cleo]) await names(page, ["Adele <i>", page === bob ? "Bob (you)" : "Bob", page === bob ? "Cleo" : "Cleo (you)"].sort());
    await ada.isReady();
    await ada.say("it is me");
    await bob.click("#toggle");
    await bob.shows("#words", /Adele <i>.*it is me/);

    // Her other page was opened under the other name.
    await ada.close();
    await second.makeNote(600, 300, "still here");
    assert.equal(await bob.evaluate(() => whiteboard.people.count), 3);
    await second.close();
    await names(bob, ["Bob (you)", "Cleo"], patience);
  });

  test("carries a chat, with who is typing, and what is unread", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob", { transport: "sse" });
    await bob.click("#toggle");
    await ada.click("#toggle");
    await ada.type("Good ");
    await bob.shows("#typing", /^Ada is typing$/);
    await ada.type("morning");
    await ada.press("Enter");
    await bob.shows("#words", /Ada.*Good morning$/);
    await bob.sees(() => document.getElementById("typing").textContent === "", [], "nobody is typing");
    await ada.shows("#words", /^You.*Good morning$/);
    await bob.click("#panel-close");
    await bob.hides("#panel");
    await ada.say(html);
    await bob.shows("#unread", /^1$/);
    await ada.say("and on");
    await bob.shows("#unread", /^2$/);
    await bob.press("c");
    await bob.shows("#words", /and on$/);
    await bob.hides("#unread");
    assert.equal(await bob.evaluate(() => [...document.querySelectorAll(".said")].map(({ textContent }) => textContent)[1]), html);
    assert.equal(await bob.evaluate(() => document.querySelectorAll("#words img, #words .said b").length), 0);
    // Shift and Enter is another line.
    await bob.click("#say-text");
    await bob.type("one");
    await bob.press("Shift+Enter");
    await bob.type("two");
    await bob.press("Enter");
    await bob.isSettled();
    assert.equal((await scene.snapshot()).board.chat.at(-1).text, "one\ntwo");
  });

  test("tells what was done, and leads there", async (scene) => {
    const ada = await scene.join("Ada");
    const note = await ada.makeNote(300, 300, "look here");
    await ada.take("pen");
    for (const y of [500, 540]) await ada.making(() => ada.drag({ x: 300, y }, { x: 400, y: y + 10 }, { x: 500, y }));
    await ada.isSettled();
    const bob = await scene.join("Bob");
    await bob.click("#toggle");
    await bob.click("#tab-activity");
    await bob.shows("#deeds li:nth-child(1)", /^Ada added 2 lines/);
    await bob.shows("#deeds li:nth-child(2)", /^Ada wrote on a note look here/);
    await ada.press("v");
    const at = await ada.place(note);
    await ada.tab.click(at.x, at.y);
    await ada.press("Delete");
    await bob.shows("#deeds li:nth-child(1)", /^Ada deleted a note/);
    await ada.press("Control+z");
    await bob.shows("#deeds li:nth-child(1)", /^Ada brought back a note look here/);
    // Far from it, one press leads back.
    await bob.tab.point(400, 400);
    await bob.tab.wheel(0, 5_000);
    await bob.shows("#lost", /^Back to what is here$/);
    await bob.click("#deeds li:nth-child(1) button");
    await bob.hides("#lost");
    await bob.sees((id) => document.querySelector(`[data-id="${id}"]`).ariaCurrent === "true", [note], "it is selected");
  });

  test("zooms and moves the view, for oneself alone", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    const camera = (page) => page.evaluate(() => ({ x: whiteboard.camera.x, y: whiteboard.camera.y, zoom: whiteboard.camera.zoom }));
    const under = (page, x, y) => page.evaluate((x, y) => whiteboard.camera.toBoard({ x, y }), x, y);
    const bobs = await camera(bob);
    const begin = await camera(ada);
    const isNear = (a, b) => assert.ok(Math.hypot(a.x - b.x, a.y - b.y) < 0.01, `${JSON.stringify(a)} is at ${JSON.stringify(b)}`);

    await ada.tab.point(700, 300);
    const pointed = await under(ada, 700, 300);
    await ada.tab.keyDown("Control");
    await ada.tab.wheel(0, -120);
    await ada.tab.keyUp("Control");
    await ada.sees((zoom) => whiteboard.camera.zoom > zoom, [begin.zoom], "it is larger");
    isNear(await under(ada, 700, 300), pointed);
    const zoomed = await camera(ada);
    await ada.shows("#zoom-figure", new RegExp(`^${Math.round(100 * zoomed.zoom)}%$`));

    await ada.tab.wheel(30, 50);
    await ada.sees((x) => whiteboard.camera.x !== x, [zoomed.x], "it has moved");
    isNear(await camera(ada), { x: zoomed.x + 30 / zoomed.zoom, y: zoomed.y + 50 / zoomed.zoom });

    // With the space bar the mouse moves the view, whatever is at hand; and nothing comes onto the board.
    await ada.take("pen");
    const before = await under(ada, 600, 400);
    await ada.evaluate(() => document.getElementById("board").focus());
    await ada.tab.keyDown(" ");
    await ada.drag({ x: 600, y: 400 }, { x: 650, y: 450 }, { x: 700, y: 480 });
    await ada.tab.keyUp(" ");
    isNear(await under(ada, 700, 480), before);
    await ada.take("hand");
    await ada.drag({ x: 700, y: 480 }, { x: 650, y: 450 }, { x: 600, y: 400 });
    isNear(await under(ada, 600, 400), before);
    assert.deepEqual(await ada.objects(), []);

    // What is made is made where the mouse is, however one looks at it.
    await ada.press("v");
    const there = await under(ada, 500, 350);
    const note = await ada.makeNote(500, 350, "here");
    const { x, y, w, h } = await bob.object(note);
    assert.ok(Math.abs(x + w / 2 - there.x) <= 1 && Math.abs(y + h / 2 - there.y) <= 1);
    await ada.click('[data-do="zoom-reset"]');
    await ada.shows("#zoom-figure", /^100%$/);
    await ada.click('[data-do="zoom-out"]');
    await ada.shows("#zoom-figure", /^80%$/);
    await ada.tab.point(600, 400);
    await ada.tab.wheel(9_000, 9_000);
    await ada.shows("#lost", /./);
    await ada.click('[data-do="fit"]');
    await ada.hides("#lost");
    assert.deepEqual(await camera(bob), bobs);
  });

  test("follows somebody's cursor, until one moves the view oneself", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    // Who comes has all buttons made anew.
    await bob.sees(() => whiteboard.people.count === 2, [], "all are here");
    await bob.click("#people button");
    await bob.sees(() => document.getElementById("board").classList.contains("is-following"), [], "it follows");
    await ada.tab.point(640, 450);
    await ada.tab.wheel(3_000, 0);
    await ada.tab.point(660, 450);
    await bob.sees(() => whiteboard.camera.x > 1_500, [], "the view has moved there");
    await bob.tab.point(500, 400);
    await bob.tab.wheel(0, 10);
    await bob.sees(() => !document.getElementById("board").classList.contains("is-following"), [], "it does not follow any more");
  });

  test("is used by fingers on a phone", async (scene) => {
    const ada = await scene.join("Ada", { width: 390, height: 844, isPhone: true });
    const bob = await scene.join("Bob");
    const finger = (...points) => ada.tab.touch(points.map((point) => [point]));
    // Two taps, and a note.
    const note = await ada.making(() => ada.tab.doubleTap(190, 350));
    await ada.isWriting();
    await ada.type("by thumb");
    await ada.evaluate(() => document.activeElement.blur());
    await bob.has(note, { text: "by thumb", editing: null });

    // A finger on it moves it, one beside it the view.
    const at = await ada.place(note);
    const { x } = await ada.object(note);
    const { zoom } = await ada.evaluate(() => ({ zoom: whiteboard.camera.zoom }));
    await finger(at, { x: at.x + 20, y: at.y }, { x: at.x + 40, y: at.y });
    await bob.has(note, { x: x + Math.round(40 / zoom) });
    const before = await ada.evaluate(() => ({ x: whiteboard.camera.x }));
    await finger({ x: 60, y: 650 }, { x: 80, y: 650 }, { x: 120, y: 650 });
    await ada.sees((x, zoom) => Math.abs(whiteboard.camera.x - (x - 60 / zoom)) < 0.01, [before.x, zoom], "the view has moved");
    // Two fingers zoom.
    await ada.tab.touch([
      [{ x: 150, y: 600 }, { x: 250, y: 600 }],
      [{ x: 120, y: 600 }, { x: 280, y: 600 }],
      [{ x: 100, y: 600 }, { x: 300, y: 600 }],
    ]);
    await ada.sees((zoom) => Math.abs(whiteboard.camera.zoom - 2 * zoom) < 0.01, [zoom], "it is twice as large");
    await ada.take("pen");
    const stroke = await ada.making(() => finger({ x: 80, y: 600 }, { x: 120, y: 640 }, { x: 200, y: 600 }, { x: 260, y: 660 }));
    assert.equal((await bob.object(stroke)).kind, "stroke");
    assert.equal((await bob.objects()).length, 2);
    const { clientWidth, scrollWidth } = await ada.evaluate(() => document.documentElement);
    assert.equal(scrollWidth, clientWidth, "nothing sticks out");
  });

  test("copies, pastes and erases", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    const note = await ada.makeNote(400, 300, "twice");
    const at = await ada.place(note);
    await ada.tab.click(at.x, at.y);
    const copy = await ada.making(() => ada.press("Control+d"));
    await bob.has(copy, { text: "twice" });
    await ada.press("Control+a");
    await ada.press("Control+c");
    await ada.tab.point(900, 600);
    await ada.press("Control+v");
    await bob.sees(() => Object.keys(whiteboard.shown()).length === 4, [], "there are four");
    await ada.take("eraser");
    await ada.drag({ x: at.x - 90, y: at.y - 90 }, { x: at.x + 60, y: at.y + 60 });
    await bob.has(note, { deleted: true });
    await bob.sees(() => document.querySelectorAll("#world > .element").length < 4, [], "it is gone");
  });

  test("makes a board by a button, and finds it again", async (scene) => {
    const ada = await scene.join("Ada");
    const start = await scene.another(ada, "/");
    await start.shows("#recent-list", /^one/);
    await start.click("#new");
    await start.isReady();
    const path = await start.evaluate(() => location.pathname);
    assert.match(path, /^\/b\/[a-z]+-[a-z]+-[a-z0-9-]+$/);
    await start.makeNote(400, 300, "on a board of its own");
    await start.isSettled();
    assert.deepEqual(await ada.objects(), []);
    const other = await scene.another(ada, "/");
    await other.shows("#recent-list li", new RegExp(`^${path.slice(3)}`));
    await other.click("#open-name");
    await other.type("No Such Board");
    await other.press("Enter");
    await other.shows("#problem", /1 to 40 letters/);
    await other.press("Control+a");
    await other.type(`${scene.server.url}${path}`);
    await other.press("Enter");
    await other.isReady();
    assert.deepEqual((await other.objects()).map(({ text }) => text), ["on a board of its own"]);
    assert.equal((await fetch(`${scene.server.url}/b/No_such`)).status, 404);
  });
});
