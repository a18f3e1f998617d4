// What both transports say, in one form: the same frame, whichever brought it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBlock, fromSocket } from "../js/dualcast/frames.js";

const block = (fields, namesChannels = false) => fromBlock({ event: "note", data: "", id: undefined, type: undefined, ...fields }, namesChannels);
/** Without what is undefined: JSON has no such thing. */
const plain = (frame) => Object.fromEntries(Object.entries(frame).filter(([, value]) => value !== undefined));

describe("a message", () => {
  test("is the same from an event stream as from a WebSocket", () => {
    for (const [fields, socket] of [
      [{ data: "hello", id: "a-1" }, { event: "note", data: "hello", id: "a-1" }],
      [{ data: "5" }, { event: "note", data: "5" }],
      [{ data: "5", type: "json" }, { event: "note", data: 5 }],
      [{ data: '{"x":[null]}', type: "json", id: "a-2" }, { event: "note", data: { x: [null] }, id: "a-2" }],
      [{ event: "a/b;c:d ", data: "" }, { event: "a/b;c:d ", data: "" }],
    ]) {
      assert.deepEqual(plain(block(fields)), fromSocket(JSON.stringify(socket)));
    }
  });

  test("is binary with the same bytes", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    const head = new TextEncoder().encode('{"event":"image","id":"a-1"}\n');
    const socket = new Uint8Array([...head, ...bytes]).buffer;
    const stream = { event: "image;base64", data: Buffer.from(bytes).toString("base64"), id: "a-1" };
    assert.deepEqual(plain(block(stream)), { event: "image", data: bytes, id: "a-1" });
    assert.deepEqual(fromSocket(socket), { event: "image", data: bytes, id: "a-1" });
    assert.equal(block({ event: "image;base64" }).data.length, 0);
  });

  test("has its channel before the first slash, where the stream is of several", () => {
    const fields = { event: "room.42/a/b", data: "x" };
    assert.deepEqual(plain(block(fields, true)), { event: "a/b", channel: "room.42", data: "x" });
    assert.deepEqual(plain(block(fields)), { event: "room.42/a/b", data: "x" });
    assert.deepEqual(plain(block({ event: "b/image;base64", data: "AA==" }, true)), { event: "image", channel: "b", data: new Uint8Array(1) });
  });
});

describe("a notice", () => {
  test("is an event whose name says so, on a stream of several channels, too", () => {
    for (const isMulti of [true, false]) {
      const gap = block({ event: "dualcast:gap", data: '{"channel":"a","from":null,"to":"x-9","reason":"slow"}', id: "x-9" }, isMulti);
      assert.deepEqual(gap, { control: "gap", channel: "a", from: null, to: "x-9", reason: "slow", id: "x-9" });
    }
  });
});

describe("what makes no sense", () => {
  test("is no frame", () => {
    for (const read of [
      () => block({ event: "dualcast:gap", data: "{" }),
      () => block({ data: "{", type: "json" }),
      () => block({ event: "image;base64", data: "%" }),
      () => fromSocket("{"),
      () => fromSocket(new ArrayBuffer(2)),
      () => fromSocket(new TextEncoder().encode('{"event":"image"}').buffer),
    ]) {
      assert.throws(read);
    }
  });
});
