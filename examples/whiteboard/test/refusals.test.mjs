import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusals } from "../page/refusals.mjs";

/** Time stands still until it is told to pass. */
function refusals(t) {
  let now = 0;
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.mock.method(performance, "now", () => now);
  const page = { said: [], unanswered: 0, there: [] };
  page.refusals = new Refusals({
    show: (words) => page.said.push(words),
    keep: (why, text) => page.said.push([why, text]),
    isThere: (text) => page.there.includes(text),
    mayGrow: () => page.unanswered > 0,
  });
  page.passes = (milliseconds) => {
    for (let i = 0; i < milliseconds; i += 100) {
      now += 100;
      t.mock.timers.tick(100);
    }
  };
  return page;
}

const add = (id, text) => ({ add: id, kind: "note", props: { x: 0, text } });
const set = (id, props) => ({ set: id, props });

test("what is refused for one reason is told together, as soon as no more is to come", (t) => {
  const page = refusals(t);
  page.unanswered = 300;
  for (let i = 0; i < 15; i++) {
    page.refusals.take([set(`a${i}`, { x: 1 }), set(`b${i}`, { x: 1 })], "the board is full");
    page.passes(100);
  }
  page.refusals.take([set("c", { x: 1 })], "Bob is editing this note");
  assert.deepEqual(page.said, []);
  page.unanswered = 0;
  page.passes(200);
  assert.deepEqual(page.said, ["30 changes were not taken: the board is full.", "1 change was not taken: Bob is editing this note."]);
  page.refusals.take([set("d", { x: 1 })], "the board is full");
  page.passes(100);
  assert.equal(page.said[2], "1 change was not taken: the board is full.");
});

test("what is refused is told in time, also where much goes on", (t) => {
  const page = refusals(t);
  page.unanswered = 1;
  page.refusals.take([set("a", { x: 1 })], "it is no colour");
  page.passes(1_900);
  assert.deepEqual(page.said, []);
  page.passes(400);
  assert.deepEqual(page.said, ["1 change was not taken: it is no colour."]);
});

test("words that were refused are kept: the last of each note, and what was said", (t) => {
  const page = refusals(t);
  const changes = [{ edit: "n" }, set("n", { text: "half" }), set("n", { text: "all of it" }), { done: "n" }, { chat: "hello" }, set("m", { text: "" })];
  page.refusals.take(changes, "Bob is editing this note");
  page.passes(100);
  assert.deepEqual(page.said, [["6 changes were not taken: Bob is editing this note. What you wrote:", "all of it\n\nhello"]]);
});

test("words that can be read on the board are not kept, as those of copies", (t) => {
  const page = refusals(t);
  page.there = ["model"];
  page.refusals.take([add("copy", "model"), add("pasted", "from elsewhere")], "the board is full");
  page.passes(100);
  assert.deepEqual(page.said, [["2 changes were not taken: the board is full. What you wrote:", "from elsewhere"]]);
});

test("words that the editor has kept are not shown twice, and those that it has not are", (t) => {
  const page = refusals(t);
  page.refusals.takeTold([set("n", { text: "Ada wro" })]);
  page.refusals.keep("Bob began to edit this note before you. What you wrote:", "Ada wrote");
  page.passes(100);
  assert.deepEqual(page.said, [["Bob began to edit this note before you. What you wrote:", "Ada wrote"]]);
  page.refusals.takeTold([set("n", { text: "Ada wrote" })]);
  page.passes(100);
  assert.deepEqual(page.said[1], ["What you wrote:", "Ada wrote"]);
});
