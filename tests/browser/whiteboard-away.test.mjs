// What becomes of what one does on the whiteboard where its way to the server changes, fails, or ends in a no: all of it arrives, and once; or one
// is told that it will not.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { launchChromium } from "./browsers.mjs";
import { until } from "./until.mjs";
import { inWhiteboard, patience } from "./whiteboard.mjs";

inWhiteboard("whiteboard", { chromium: launchChromium }, (test) => {
  test("changes its transport while one draws, and nothing is lost or comes twice", async (scene) => {
    const ada = await scene.join("Ada", { transport: "auto" });
    const bob = await scene.join("Bob", { transport: "sse" });
    const draw = (color) => {
      globalThis.made = [];
      let time = 0;
      globalThis.drawing = setInterval(() => {
        const points = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? i * 4 : Math.round(30 * Math.sin(i + time))));
        made.push(whiteboard.act.add("stroke", { x: 10 * (time++ % 50), y: 5 * time, color, width: 4, points }));
      }, 40);
    };
    for (const [color, page] of [ada, bob].entries()) await page.evaluate(draw, color);
    const made = () => ada.evaluate(() => made.length);
    for (const [transport, shown, words] of [
      ["auto", "WebSocket", /^The best transport/],
      ["sse", "SSE + POST", /event stream; each change goes out as a POST/],
      ["ws", "WebSocket", /over one WebSocket/],
      ["sse", "SSE + POST", /event stream/],
      ["auto", "WebSocket", /^The best transport/],
    ]) {
      const before = await made();
      await ada.choose(transport, shown);
      await ada.shows("#lamp-word", new RegExp(`^${shown.replace("+", "\\+")}$`));
      await ada.click("#lamp");
      await ada.shows("#connection-words", words);
      await ada.press("Escape");
      await ada.sees((before) => made.length > before + 20, [before], "it goes on drawing");
    }
    const ids = [];
    for (const page of [ada, bob]) {
      const own = await page.evaluate(() => {
        clearInterval(drawing);
        return made;
      });
      ids.push(own);
    }
    for (const page of [ada, bob]) await page.isSettled();
    const drawn = (await scene.snapshot()).board;
    assert.deepEqual(Object.keys(drawn.objects).sort(), ids.flat().sort());
    for (const page of [ada, bob]) {
      await page.sees((count) => Object.keys(whiteboard.board().objects).length === count, [ids.flat().length], "all are there");
      assert.deepEqual(await page.board(), drawn);
    }
    // Each once, in order.
    for (const own of ids) {
      const told = drawn.activity.filter(({ id }) => own.includes(id)).map(({ id }) => id);
      assert.deepEqual(told, own.slice(own.length - told.length));
    }
    assert.equal(await ada.evaluate(() => whiteboard.live.figures.gaps), 0);
    const ways = ada.network.requests.filter(({ path }) => path.includes("/live?")).map(({ method, isUpgrade }) => (isUpgrade ? "WebSocket" : method));
    assert.deepEqual([...new Set(ways)].sort(), ["GET", "POST", "WebSocket"]);
  });

  for (const transport of ["ws", "sse"]) {
    test(`goes on without a connection, says so, and sends all of it once when it is back, on ${transport}`, async (scene) => {
      const ada = await scene.join("Ada", { transport });
      const bob = await scene.join("Bob", { transport });
      const note = await ada.makeNote(200, 200, "before");
      await bob.has(note, { text: "before" });
      await ada.isSettled();
      ada.network.refuse();
      await ada.shows("#lamp-word", /^(Offline|Connecting)$/);
      const made = [];
      await ada.take("pen");
      for (let i = 0; i < 20; i++) {
        const [x, y] = [400 + 60 * (i % 5), 200 + 80 * Math.floor(i / 5)];
        made.push(await ada.making(() => ada.drag({ x, y }, { x: x + 40, y: y + 30 }, { x: x + 40, y })));
      }
      await ada.shows("#notice", /^Not connected\. 20 changes unsent: they go out when the connection is back\.$/);
      await ada.click("#lamp");
      await ada.shows("#figures", /Unsent changes20/);
      await ada.press("Escape");
      // Meanwhile the other goes on, too.
      const other = await bob.makeNote(200, 500, "meanwhile");
      await bob.isSettled();
      assert.deepEqual((await bob.objects()).map(({ id }) => id), [note, other]);

      ada.network.heal();
      await ada.isSettled(patience);
      await ada.hides("#notice");
      await ada.shows("#lamp-word", transport === "ws" ? /^WebSocket$/ : /^SSE \+ POST$/);
      await ada.has(other, { text: "meanwhile" });
      await bob.sees((last) => whiteboard.shown()[last] !== undefined, [made.at(-1)], "Bob has the last");
      for (const page of [ada, bob]) {
        assert.deepEqual((await page.objects()).map(({ id }) => id).sort(), [note, other, ...made].sort());
        // What is known is drawn with the next frame.
        await page.sees((count) => document.querySelectorAll("#world > .stroke").length === count, [20], "all of it is drawn");
      }
      const { activity } = (await scene.snapshot()).board;
      assert.deepEqual(activity.filter(({ kind }) => kind === "stroke").map(({ id }) => id), made, "each once, in order");
      await ada.click("#lamp");
      await ada.shows("#figures", /Unsent changes0/);
      assert.equal(await ada.evaluate(() => whiteboard.live.figures.reconnects), 1);
    });

    test(`sends once what was taken without an answer, on ${transport}`, async (scene) => {
      const ada = await scene.join("Ada", { transport });
      const bob = await scene.join("Bob");
      // The server hears, and she does not hear that it did.
      ada.network.deafen();
      const note = await ada.making(() => ada.tab.doubleClick(400, 300));
      await ada.isWriting();
      // Before it, a POST of where she points may be under way, whose answer she waits for in vain, and not for ever.
      await bob.object(note, patience);
      // What is added twice is there once. What is said twice is not.
      await ada.evaluate(() => whiteboard.act.say("only this"));
      await ada.type("once");
      ada.network.heal();
      ada.network.cut();
      await ada.press("Escape");
      await ada.isSettled(patience);
      await bob.has(note, { text: "once", editing: null });
      const { activity, chat, seen } = (await scene.snapshot()).board;
      assert.deepEqual(chat.map(({ text }) => text), ["only this"]);
      assert.deepEqual(activity.map(({ did }) => did), ["add", "text"]);
      assert.equal(Object.keys(seen).length, 1);
    });
  }

  test("keeps what is unsent through a reload", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    // From here on nothing that she sends arrives.
    ada.network.swallow();
    const note = await ada.makeNote(400, 300, "not sent yet");
    ada.network.refuse();
    await ada.shows("#lamp-word", /^(Offline|Connecting)$/);
    ada.network.heal();
    await ada.tab.reload();
    await ada.isReady();
    await ada.isSettled(patience);
    for (const page of [ada, bob]) {
      await page.has(note, { text: "not sent yet", editing: null }, patience);
      assert.equal((await page.objects()).length, 1);
    }
  });

  test("asks before it is left where nothing gets through, also while it counts as connected", async (scene) => {
    const ada = await scene.join("Ada");
    const asks = () => ada.evaluate(() => !dispatchEvent(new Event("beforeunload", { cancelable: true })));
    await ada.making(() => ada.evaluate(() => whiteboard.act.add("rect", { x: 0, y: 0, w: 50, h: 50, color: 1 })));
    await ada.isSettled();
    assert.equal(await asks(), false);
    ada.network.swallow();
    await ada.making(() => ada.evaluate(() => whiteboard.act.add("rect", { x: 0, y: 0, w: 50, h: 50, color: 1 })));
    await ada.shows("#notice", /^1 change unsent\.$/);
    assert.deepEqual([await asks(), await ada.evaluate(() => whiteboard.live.state.status)], [true, "open"]);
    ada.network.heal();
    ada.network.cut();
    await ada.isSettled(patience);
    assert.equal(await asks(), false);
  });

  test("keeps what there is room for through a reload, from the first on, and says how much there was not", async (scene) => {
    const ada = await scene.join("Ada");
    ada.network.refuse();
    await ada.shows("#lamp-word", /^(Offline|Connecting)$/);
    const made = await ada.evaluate(() => {
      // So that there is room for some: each stroke has 16 KB.
      const points = Array.from({ length: 4_000 }, (_, i) => (i % 2 ? 100 + (i % 50) : 2_000 + i));
      for (let size = 1 << 22; size >= 1; size >>= 1) {
        try {
          sessionStorage.setItem("filler", (sessionStorage.getItem("filler") ?? "") + "x".repeat(size));
        } catch {
          // Not so much.
        }
      }
      sessionStorage.setItem("filler", sessionStorage.getItem("filler").slice(500_000));
      return Array.from({ length: 60 }, (_, i) => whiteboard.act.add("stroke", { x: i, y: i, color: 1, width: 3, points }));
    });
    ada.network.heal();
    ada.network.swallow();
    await ada.evaluate(() => globalThis.dispatchEvent(new PageTransitionEvent("pagehide")));
    ada.network.heal();
    await ada.tab.reload();
    const [, lost] = await ada.shows(".toast.bad", /^(\d+) changes were lost when the page was left: the browser had no room to keep them\.$/);
    await ada.isReady();
    await ada.isSettled(patience);
    const kept = Object.keys((await scene.snapshot()).board.objects);
    assert.ok(kept.length > 10 && Number(lost) > 10, `${kept.length} kept, ${lost} lost`);
    assert.deepEqual(kept.sort(), made.slice(0, made.length - Number(lost)).sort());
  });

  test("reads the board anew after a restart of the server, and goes on", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob", { transport: "sse" });
    const before = await ada.makeNote(200, 300, "before");
    await bob.has(before, { text: "before" });
    let meanwhile;
    await scene.restartServer(async () => {
      await ada.shows("#lamp-word", /^(Offline|Connecting)$/);
      meanwhile = await ada.making(() => ada.tab.doubleClick(500, 300));
      await ada.isWriting();
      await ada.type("meanwhile");
      await ada.press("Escape");
    });
    await ada.isSettled(patience);
    await bob.has(meanwhile, { text: "meanwhile", editing: null }, patience);
    const after = await bob.makeNote(800, 300, "after");
    await ada.has(after, { text: "after", editing: null }, patience);
    for (const page of [ada, bob]) {
      assert.deepEqual((await page.objects()).map(({ text }) => text), ["before", "meanwhile", "after"]);
      assert.equal(await page.evaluate(() => whiteboard.live.figures.gaps), 1);
    }
    await ada.click("#lamp");
    await ada.shows("#figures", /Gaps1/);
  });

  for (const helps of ["by itself", "by the button"]) {
    test(`reads the board, ${helps}, although it was asked for on a network that fell silent`, async (scene) => {
      const ada = await scene.join("Ada");
      await ada.makeNote(200, 300, "before");
      const asked = () => ada.network.requests.filter(({ path }) => path.endsWith("/snapshot")).length;
      const before = asked();
      ada.network.stallRequests(/snapshot$/);
      // After which there is a gap.
      await scene.restartServer();
      await until(() => asked() > before, () => "the board is asked for", patience);
      ada.network.heal();
      await new Somebody(scene.server.url).do([{ add: "meanwhile", kind: "rect", props: { x: 0, y: 0, w: 40, h: 40, color: 1, z: 1 } }]);
      const unsent = await ada.making(() => ada.evaluate(() => whiteboard.act.add("rect", { x: 100, y: 0, w: 40, h: 40, color: 2 })));
      await ada.shows("#lamp-word", /^Loading$/);
      if (helps === "by the button") {
        await ada.click("#lamp");
        await ada.click("#reconnect");
        await ada.press("Escape");
      }
      // By itself it asks after 10 seconds.
      await ada.has("meanwhile", { x: 0 }, helps === "by itself" ? patience : 8_000);
      await ada.isSettled(patience);
      assert.equal((await scene.snapshot()).board.objects[unsent].x, 100);
    });
  }

  test("reads the board anew where the log was trimmed past it, and goes on", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob", { transport: "sse" });
    const note = await ada.makeNote(200, 300, "before");
    await bob.has(note, { text: "before", editing: null });
    for (const page of [ada, bob]) {
      page.network.refuse();
      await page.shows("#lamp-word", /^(Offline|Connecting)$/);
    }
    const unsent = await ada.making(() => ada.tab.doubleClick(600, 300));
    await ada.isWriting();
    await ada.type("unsent");
    await ada.press("Escape");
    // More than the log keeps, which is 16 MiB.
    const somebody = new Somebody(scene.server.url);
    for (let i = 0; i < 290; i++) await somebody.do(Array.from({ length: 29 }, (_, n) => ({ set: note, props: { text: `${i} ${n} `.padEnd(2_000, "x") } })));
    await somebody.do([{ set: note, props: { text: "after" } }]);
    for (const page of [ada, bob]) page.network.heal();
    for (const page of [ada, bob]) {
      await page.isSettled(patience);
      for (const [id, text] of [[note, "after"], [unsent, "unsent"]]) await page.has(id, { text, editing: null }, patience);
      assert.equal(await page.evaluate(() => whiteboard.live.figures.gaps), 1);
    }
    await bob.makeNote(800, 500, "on");
    await ada.sees(() => document.querySelectorAll("#world > .note").length === 3, [], "it goes on");
  });

  test("says why a change was not taken, and takes it back, and what was done with it stays", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    const note = await ada.makeNote(400, 300, "as it is");
    await bob.has(note, { text: "as it is", editing: null });
    // All in one go, and so in one message.
    const other = await ada.evaluate((id) => {
      whiteboard.act.set(id, { text: "x".repeat(2_001) });
      return whiteboard.act.add("rect", { x: 300, y: 0, w: 100, h: 100, color: 1 });
    }, note);
    await ada.shows(".toast.bad", /^1 change was not taken: .*2,?000/);
    await ada.has(note, { text: "as it is" });
    await bob.object(other);
    await ada.isSettled();
    assert.equal((await scene.snapshot()).board.objects[note].text, "as it is");
    assert.equal((await bob.object(note)).text, "as it is");
    for (const page of [ada, bob]) await page.sees((id) => document.querySelector(`[data-id="${id}"] .text`).textContent === "as it is", [note]);
  });

  for (const isOpenAgain of [false, true]) {
    test(`keeps what was written meanwhile on a note that another writes on now${isOpenAgain ? ", and that is open again" : ""}`, async (scene) => {
      const ada = await scene.join("Ada");
      const bob = await scene.join("Bob");
      const note = await ada.makeNote(400, 300, "old");
      await bob.has(note, { text: "old", editing: null });
      ada.network.refuse();
      await ada.shows("#lamp-word", /^(Offline|Connecting)$/);
      const open = async (page) => {
        const { x, y } = await page.place(note);
        await page.tab.doubleClick(x, y);
        await page.isWriting();
      };
      await open(ada);
      await ada.press("Control+a");
      await ada.type("a page of words");
      await ada.press("Escape");
      await ada.evaluate(() => whiteboard.act.say("nobody heard"));
      if (isOpenAgain) await open(ada);
      await open(bob);
      await bob.isSettled();
      ada.network.heal();
      await ada.shows(".toast.keeps", /Bob (is editing this note|began to edit this note before you)|What you wrote/, patience);
      await ada.shows(".toast.keeps .kept-text", /^a page of words$/);
      assert.equal(await ada.evaluate(() => document.querySelectorAll(".toast.keeps").length), 1);
      await ada.isSettled(patience);
      await ada.has(note, { text: "old" });
      assert.deepEqual((await scene.snapshot()).board.chat.map(({ text }) => text), ["nobody heard"]);
    });
  }

  for (const [what, look] of [
    ["a phone", { width: 390, height: 844, isPhone: true, scale: 2 }],
    ["a small window", { width: 900, height: 480 }],
  ]) {
    test(`covers no tools by what it tells, and nothing by another, on ${what}`, async (scene) => {
      const ada = await scene.join("Ada", look);
      const tells = async (act, arg) => {
        const before = await ada.evaluate(() => document.querySelectorAll(".toast").length);
        await ada.evaluate(act, arg);
        await ada.sees((before) => document.querySelectorAll(".toast").length > before, [before], "it is told");
      };
      for (let i = 0; i < 3; i++) await tells((i) => whiteboard.act.say(`${i} and more `.repeat(101)), i);
      await tells(() => whiteboard.act.set(whiteboard.act.add("rect", { x: 0, y: 0, w: 50, h: 50, color: 1 }), { color: 99 }));
      await ada.isSettled();
      ada.network.refuse();
      await ada.evaluate(() => whiteboard.act.add("note", { x: 0, y: 0, w: 200, h: 200, color: 1, text: "" }));
      await ada.shows("#notice", /^Not connected\. 1 change unsent/);
      const covered = await ada.evaluate(() => {
        const boxes = [".bar > *", ".bottom > *", "#notice", "#toasts"].flatMap((selector) =>
          [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility()).map((element) => [selector, element.getBoundingClientRect()]),
        );
        const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
        return boxes.flatMap(([name, box], i) => boxes.slice(i + 1).filter(([, other]) => meet(box, other)).map(([other]) => `${name} and ${other}`));
      });
      assert.deepEqual(covered, []);
    });
  }

  test("tells once of all that found no room, and soon takes what is done after it", async (scene) => {
    const somebody = new Somebody(scene.server.url);
    const line = (i) => ({ add: `line${i}`, kind: "rect", props: { x: 30 * (i % 60), y: 30 * Math.floor(i / 60), w: 20, h: 20, color: i % 8, z: i } });
    for (let i = 0; i < 2_990; i += 130) await somebody.do(Array.from({ length: 130 }, (_, n) => line(i + n)));
    const ada = await scene.join("Ada");
    await ada.evaluate(() => {
      // Its time stands still: however slow the machine is, all of the answers come in time to be told of together.
      const now = performance.now();
      performance.now = () => now;
      globalThis.told = [];
      const note = (records) => told.push(...records.flatMap(({ addedNodes }) => [...addedNodes].map(({ textContent }) => textContent)));
      new MutationObserver(note).observe(document.querySelector("#toasts"), { childList: true });
    });
    const [copies] = await ada.evaluate(() => {
      for (let i = 0; i < 1_000; i++) whiteboard.act.add("rect", { x: i, y: 900, w: 20, h: 20, color: 1 });
      whiteboard.act.set("line0", { x: 777 });
      return [Object.keys(whiteboard.shown()).length];
    });
    assert.equal(copies, 3_990);
    await ada.isSettled(patience);
    assert.equal((await scene.snapshot()).board.objects.line0.x, 777);
    assert.equal((await ada.objects()).length, 3_000);
    await ada.sees(() => told.length > 0, [], "it is told");
    assert.deepEqual(await ada.evaluate(() => told), ["990 changes were not taken: the board is full: it has at most 3000 objects."]);
  });

  test("says that a board is full, and lets one make room", async (scene) => {
    const somebody = new Somebody(scene.server.url);
    const line = (i) => ({ add: `line${i}`, kind: "rect", props: { x: 30 * (i % 60), y: 30 * Math.floor(i / 60), w: 20, h: 20, color: i % 8, z: i } });
    for (let i = 0; i < 3_000; i += 200) await somebody.do(Array.from({ length: 200 }, (_, n) => line(i + n)));
    const ada = await scene.join("Ada");
    await ada.sees(() => document.querySelectorAll("#world > .element").length === 3_000, [], "all 3,000 are there", patience);
    await ada.take("rect");
    await ada.drag({ x: 30, y: 500 }, { x: 60, y: 560 }, { x: 90, y: 600 });
    await ada.shows(".toast.bad", /^1 change was not taken: the board is full: it has at most 3000 objects\.$/);
    await ada.isSettled();
    assert.equal((await ada.objects()).length, 3_000);
    await ada.evaluate(() => whiteboard.act.remove("line7"));
    await ada.isSettled();
    await ada.take("rect");
    const made = await ada.making(() => ada.drag({ x: 30, y: 500 }, { x: 60, y: 560 }, { x: 90, y: 600 }));
    await ada.isSettled();
    assert.equal((await scene.snapshot()).board.objects[made].kind, "rect");
  });
});

/** Somebody without a page. */
class Somebody {
  #url;
  #key = randomBytes(32).toString("base64url");
  #n = 0;

  constructor(url) {
    this.#url = url;
  }

  async do(changes) {
    const response = await fetch(`${this.#url}/b/one/live?name=Somebody&color=0`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.#key}` },
      body: JSON.stringify({ event: "op", data: { client: "somebody", n: ++this.#n, changes } }),
    });
    assert.equal(response.status, 200, await response.text());
  }
}
