// The text of a note on `examples/whiteboard`: whatever happens to it and to the network meanwhile, nobody's words go without a word.

import assert from "node:assert/strict";
import { findHindrances } from "./axe.mjs";
import { launchChromium } from "./browsers.mjs";
import { inWhiteboard, patience } from "./whiteboard.mjs";

const field = ".text-editor";

async function open(page, note) {
  const { x, y } = await page.place(note);
  await page.tab.doubleClick(x, y);
  await page.isWriting();
}

/** What the page has open stands in the field. */
async function reads(page, text) {
  await page.sees((text) => document.querySelector(".text-editor").value === text, [text], `“${text}” is in the field`);
}

/** Writes in place of all that there is, and is done. */
async function rewrite(page, note, text) {
  await open(page, note);
  await page.press("Control+a");
  await page.type(text);
  await page.press("Escape");
  await page.isSettled();
}

/** Somebody has two pages, and a note is open in the second. */
async function inTwoPages(scene) {
  const ada = await scene.join("Ada");
  const note = await ada.makeNote(400, 300, "old");
  await ada.isSettled();
  const second = await scene.another(ada, "/b/one?transport=ws");
  await second.isReady();
  await open(second, note);
  return { ada, second, note };
}

inWhiteboard("whiteboard, texts", { chromium: launchChromium }, (test) => {
  test("takes nothing back by a note that was open and not written on, in another page of the same person", async (scene) => {
    const { ada, second, note } = await inTwoPages(scene);
    await rewrite(ada, note, "new");
    await reads(second, "new");
    await second.press("Escape");
    await second.isSettled();
    await ada.has(note, { text: "new", editing: null });
    // It is not the second's own, to be undone.
    await second.press("Control+z");
    await second.isSettled();
    await ada.has(note, { text: "new", deleted: false });
  });

  test("takes nothing back by a note that was open while its user was away", async (scene) => {
    const ada = await scene.join("Ada");
    const bob = await scene.join("Bob");
    const note = await ada.makeNote(400, 300, "old");
    await bob.has(note, { text: "old", editing: null });
    await open(ada, note);
    await ada.isSettled();
    ada.network.refuse();
    await ada.sees(() => whiteboard.live.state.status !== "open", [], "Ada is away");
    // As the server does for those who are gone.
    await scene.change([{ done: note }], ada.identity);
    await bob.has(note, { editing: null });
    await rewrite(bob, note, "by Bob");
    ada.network.heal();
    await ada.isSettled(patience);
    await ada.shows(".toast.bad", /^Bob began to edit this note before you\.$/);
    await ada.hides(field);
    await ada.press("Escape");
    await ada.isSettled();
    for (const page of [ada, bob]) await page.has(note, { text: "by Bob", editing: null });
  });

  test("keeps the words of one who wrote on a note that another page of theirs has written on since", async (scene) => {
    const { ada, second, note } = await inTwoPages(scene);
    await second.press("Control+a");
    await second.type("first");
    await ada.has(note, { text: "first" });
    await rewrite(ada, note, "second");
    await second.shows(".toast.bad", /^The text of this note changed while you edited it\. What you wrote:/);
    await second.shows(".toast .kept-text", /^first$/);
    await second.hides(field);
    for (const page of [ada, second]) await page.has(note, { text: "second" });
  });

  test("saves what was typed where the lock has just gone, and nobody else has it", async (scene) => {
    const ada = await scene.join("Ada");
    const note = await ada.makeNote(400, 300, "old");
    await open(ada, note);
    await ada.isSettled();
    // Drawing, an open editor takes the lock again: this is the moment before.
    await ada.evaluate(() => (globalThis.requestAnimationFrame = () => 0));
    await scene.change([{ done: note }], ada.identity);
    await ada.has(note, { editing: null });
    await ada.press("Control+a");
    await ada.type("new");
    await ada.press("Escape");
    await ada.isSettled();
    const { text, editing } = (await scene.snapshot()).board.objects[note];
    assert.deepEqual({ text, editing }, { text: "new", editing: null });
  });

  // What has left may still arrive: a POST on a connection that is cut is sent again by the browser itself.
  for (const [title, leave, comeBack] of [
    ["without a connection", (network) => network.refuse(), (network) => network.heal()],
    ["into a network that is silent", (network) => network.swallow(), (network) => (network.heal(), network.cut())],
  ]) {
    test(`does not put what was written ${title} over what somebody else began, wrote and ended meanwhile`, async (scene) => {
      const ada = await scene.join("Ada");
      const bob = await scene.join("Bob");
      const note = await ada.makeNote(400, 300, "old");
      await bob.has(note, { text: "old", editing: null });
      await open(ada, note);
      await ada.isSettled();
      leave(ada.network);
      await ada.press("Control+a");
      await ada.type("by Ada");
      await ada.sees(() => whiteboard.unsent() > 0, [], "it is unsent");
      await scene.change([{ done: note }], ada.identity);
      await bob.has(note, { editing: null });
      await rewrite(bob, note, "by Bob");
      comeBack(ada.network);
      await ada.isSettled(patience);
      await ada.shows(".toast.bad", /^Bob began to edit this note before you\. What you wrote:/);
      await ada.shows(".kept-text", /^by Ada$/);
      await ada.hides(field);
      for (const page of [ada, bob]) await page.has(note, { text: "by Bob", editing: null });
    });
  }

  test("lets the words for a note that was deleted be copied, however long they are, until they are closed", async (scene) => {
    const ada = await scene.join("Ada");
    const note = await ada.makeNote(400, 300, "old");
    await open(ada, note);
    const words = "sentence ".repeat(200);
    await ada.evaluate((words) => {
      const field = document.querySelector(".text-editor");
      field.value = words;
      field.dispatchEvent(new Event("input"));
    }, words);
    await ada.isSettled();
    await scene.change([{ set: note, props: { deleted: true } }], ada.identity);
    await ada.shows(".toast.bad", /^This note was deleted while you edited it\. What you wrote:/);
    const box = await ada.evaluate(() => {
      const { top, bottom, height } = document.querySelector(".toast").getBoundingClientRect();
      return { height, isInside: top >= 0 && bottom <= document.querySelector("#tools").getBoundingClientRect().top };
    });
    assert.ok(box.isInside && box.height < 300, JSON.stringify(box));
    await ada.evaluate(() => Promise.all(document.querySelector(".toast").getAnimations().map(({ finished }) => finished)));
    assert.deepEqual(await findHindrances(ada.tab), []);
    const middle = await ada.middleOf(".kept-text");
    await ada.tab.doubleClick(middle.x, middle.y);
    assert.equal(await ada.evaluate(() => getSelection().toString().trim()), "sentence");
    await ada.evaluate(() => {
      navigator.clipboard.writeText = async (text) => void (globalThis.copied = text);
    });
    await ada.click(".toast .button");
    await ada.shows(".toast .button", /^Copied$/);
    assert.equal(await ada.evaluate(() => globalThis.copied), words);
    await ada.click(".toast .button:last-child");
    await ada.hides(".toast.keeps");
  });

  test("shows that a text goes on where the note ends, and all of it where it is written on", async (scene) => {
    const ada = await scene.join("Ada");
    const props = { x: 0, y: 0, w: 200, h: 200, color: 3 };
    const [short, long] = await ada.evaluate(
      (props) => ["word ".repeat(20), "word ".repeat(400)].map((text, i) => whiteboard.act.add("note", { ...props, x: 300 * i, text })),
      props,
    );
    const ends = (id) =>
      ada.evaluate((id) => {
        const note = document.querySelector(`[data-id="${id}"]`);
        const text = note.querySelector(".text");
        return { isCut: text.scrollHeight > text.clientHeight, sign: getComputedStyle(note, "::after").content, mask: getComputedStyle(text).maskImage !== "none" };
      }, id);
    await ada.place(long);
    assert.deepEqual(await ends(short), { isCut: false, sign: "none", mask: false });
    assert.deepEqual(await ends(long), { isCut: true, sign: '"…"', mask: true });
    await open(ada, long);
    const at = await ada.middleOf(field);
    await ada.tab.point(at.x, at.y);
    await ada.press("Control+Home");
    await ada.sees(() => document.querySelector(".text-editor").scrollTop === 0, [], "its beginning is seen");
    await ada.tab.wheel(0, 5_000);
    await ada.sees(() => {
      const { scrollTop, clientHeight, scrollHeight } = document.querySelector(".text-editor");
      return scrollTop > 0 && scrollTop + clientHeight > scrollHeight - 2;
    }, [], "its end is seen");
    await ada.press("Escape");
    // Larger, it has room.
    await ada.evaluate((id) => whiteboard.act.set(id, { w: 900, h: 900 }), long);
    await ada.sees((id) => getComputedStyle(document.querySelector(`[data-id="${id}"]`), "::after").content === "none", [long], "there is no sign");
    assert.equal((await ends(long)).isCut, false);
  });
});
