import assert from "node:assert/strict";
import { test } from "node:test";
import { together } from "../page/activity.mjs";
import { nameProblem, publicId, randomId } from "../page/identity.mjs";
import { shownName } from "../page/names.mjs";
import { initials, People } from "../page/people.mjs";
import { Presence } from "../page/stream.mjs";

const ada = { id: "u1", data: { name: "Ada", color: 2 } };
const bob = { id: "u2", data: { name: "Bob", color: 3 } };

test("who is there is told whole, and then by what changed", () => {
  const presence = new Presence();
  presence.take({ version: 7, count: 1, members: [ada] });
  presence.take({ version: 8, since: 7, count: 2, joined: [bob], left: [] });
  assert.deepEqual([presence.count, [...presence.members.keys()]], [2, ["u1", "u2"]]);
  presence.take({ version: 9, since: 8, count: 1, joined: [], left: ["u1"] });
  assert.deepEqual([...presence.members.keys()], ["u2"]);
});

test("after a change that was missed it stays as it was, and says so", () => {
  const presence = new Presence();
  assert.equal(presence.isAt(7), true, "nothing was told yet");
  assert.equal(presence.take({ version: 7, count: 1, members: [ada] }), true);
  assert.equal(presence.take({ version: 10, since: 9, count: 3, joined: [bob], left: [] }), false);
  assert.deepEqual([presence.count, [...presence.members.keys()]], [1, ["u1"]]);
  assert.deepEqual([presence.isAt(7), presence.isAt(10), presence.isAt(undefined)], [true, false, true]);
  presence.begin();
  assert.equal(presence.isAt(10), true);
  assert.equal(presence.take({ version: 1, count: 2, members: [ada, bob] }), true);
  assert.equal(presence.take({ version: 2, since: 1, count: 1, left: ["u1"] }), true);
  assert.deepEqual([presence.count, [...presence.members.keys()]], [1, ["u2"]]);
});

test("whoever has left is still called by name, and a stranger somehow", () => {
  const people = new People("u9");
  people.take([["u1", ada.data]], 1);
  people.take([], 0);
  people.learn("u3", "Cleo");
  assert.deepEqual(["u1", "u3", "u4"].map((id) => people.get(id).name), ["Ada", "Cleo", "Somebody"]);
  assert.deepEqual([people.nameOfOther("u9"), people.nameOfOther(null), people.nameOfOther("u1")], [undefined, undefined, "Ada"]);
});

test("presence may hold anything: a person has a name and one of eight colours", () => {
  const people = new People();
  people.take([["a", null], ["b", { name: 7, color: 99 }], ["c", { name: "C", color: 7 }]], 3);
  assert.deepEqual(["a", "b", "c"].map((id) => people.get(id)), [{ name: "Somebody", color: 0 }, { name: "Somebody", color: 0 }, { name: "C", color: 7 }]);
});

test("in a crowd of which some are told nobody is missed, and the server's own word names nobody", () => {
  const people = new People();
  people.take([["u1", { name: "Ada" }]], 2);
  assert.ok(people.isHere("u2"));
  people.take([["u1", { name: "Ada" }]], 1);
  assert.ok(people.isHere("u1") && !people.isHere("u2"));
  people.learn("u3", "");
  assert.equal(people.get("u3").name, "Somebody");
  people.learn("u3", "Cleo");
  assert.equal(people.get("u3").name, "Cleo");
});

test("initials are of the first and the last word, whatever they are written in", () => {
  assert.deepEqual(["Ada Lovelace", "cher", "Jean Luc Picard", "😀 smile", " 李 小龙 "].map(initials), ["AL", "C", "JP", "😀S", "李小"]);
});

test("a name has 1 to 40 characters, none of which controls anything", () => {
  assert.equal(nameProblem("Ada"), undefined);
  for (const fine of ["😀".repeat(40), "علی\u200cرضا", "👩\u200d🚀"]) assert.equal(nameProblem(fine), undefined);
  for (const bad of ["", "   ", "x".repeat(41), "a\u0007b", "a\nb", "\u202egnp.exe", "\u200b", "a\u2066", "\u3164\u200d"]) assert.notEqual(nameProblem(bad), undefined, JSON.stringify(bad));
});

test("the public id is the first 16 bytes of the key's SHA-256, and an id begins with a letter", async () => {
  assert.equal(await publicId("key"), "LHDhK3oGRvkiefQnx7OOcw");
  for (let i = 0; i < 200; i++) assert.match(randomId(12), /^[a-z][a-z0-9]{11}$/);
});

test("deeds of one kind in a row are told as one, but texts, others and old ones", () => {
  const deed = (at, by, did, kind) => ({ at, by, did, kind, id: `${at}`, name: by });
  const told = together([
    deed(1, "a", "add", "stroke"), deed(2, "a", "add", "stroke"), deed(3, "b", "add", "stroke"), deed(4, "b", "text", "note"), deed(5, "b", "text", "note"),
    deed(6, "a", "add", "rect"), deed(200_000, "a", "add", "rect"),
  ]);
  assert.deepEqual(told.map(({ id, count }) => [id, count]), [["2", 2], ["3", 1], ["4", 1], ["5", 1], ["6", 1], ["200000", 1]]);
});

test("who is called by nothing that is seen, or by what turns others round, is somebody", () => {
  const people = new People();
  const names = ["\u200b", "\u202egnp.exe", " \u3000", "\u2066a", "", 7];
  people.take(names.map((name, i) => [`u${i}`, { name, color: 1 }]), names.length);
  people.learn("u9", "\u200b");
  for (const id of ["u0", "u1", "u2", "u3", "u4", "u5", "u9"]) assert.equal(people.get(id).name, "Somebody", id);
  for (const name of ["Ada", "👩\u200d🚀", "علی\u200cرضا"]) assert.equal(shownName(name), name);
});
