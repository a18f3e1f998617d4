// Whatever is published arrives: every character that means something to a transport, up to the largest message.
//
// On WebSocket a text is the same to the last bit. On an event stream, whose lines may end in CR, LF or CRLF, it
// arrives with LF for each of these, and is otherwise the same.

import assert from "node:assert/strict";
import { inEachBrowser } from "./scene.mjs";

const megabyte = 1 << 20;

const texts = {
  "nothing": "",
  "a space": " ",
  "leading spaces": "  a",
  "spaces and colons in front of each line": " a\n: b\n  : c\n:\n d:e: ",
  "LF": "a\nb",
  "CR": "a\rb",
  "CRLF": "a\r\nb",
  "line endings at both ends": "\r\na\n",
  "line endings and nothing else": "\r\n\r\r\n\n",
  "fields of an event stream": "a\n\nevent: b\nid: c\nretry: 1\n\n:d\ndata: e\n",
  "names of fields without a colon": "data\nid\nevent\nretry\n",
  "a field that is none, and one in capitals": " data: a\nDATA: b\ndata : c",
  "a colon in front": ": a",
  "NUL": "a\0b",
  "other controls": "\u0001\u0008\u000b\u000c\u001f\u007f\u0085",
  "what JSON and JavaScript escape": "\"\\/\u2028\u2029</script>",
  "line ends that the format doesn't know": "a\u2028b\u2029c\u0085d\u000be\u000cf",
  "a byte order mark": "\ufeffa",
  "byte order marks at the beginning of each line": "a\n\ufeff\n\ufeffdata: b\n\ufeff",
  "nothing but a byte order mark": "\ufeff",
  "what no character is assigned to, and the last there is": "\ufffe\uffff\u{1ffff}\u{10ffff}",
  "emoji": "👩‍👩‍👧‍👦🏳️‍🌈",
  // Of four bytes each, and off the boundary of any buffer by one more with each.
  "1 MiB of emoji": "😀".repeat(megabyte / 4),
  "1 MiB less one of emoji": "abc" + "😀".repeat(megabyte / 4 - 1),
  "1 MiB of line endings": "\n".repeat(megabyte),
};

/** With every kind of character that an event's name may have: all but controls. */
const names = [
  " leading space",
  "trailing space ",
  "  ",
  ":",
  "a:b: c",
  "data: x",
  "/",
  "a/b//c",
  "ünï çø∂é",
  "\u{1f600}",
  "\ufeffmark",
  "a\u2028b",
  "__proto__",
  "constructor",
  "Dualcast:gap",
  "e".repeat(100),
];

const jsons = {
  "an object": '{"a":[1,2.5,-1e3,null,true],"ü":"line\\nbreak \\u0000"}',
  "an indented object": '{\r\n  "a": [\r1,\n2\n]\n}',
  "a string": '"text"',
  "null": "null",
};

const binaries = {
  "every byte": Uint8Array.from({ length: 256 }, (_, byte) => byte),
  "line feeds": Uint8Array.of(10, 10, 0, 10),
  "nothing": new Uint8Array(),
};

inEachBrowser((test) => {
  test("brings every text", async (scene) => {
    await bringAll(scene, texts, {}, (text, sse, ws, what) => {
      let expected = text.replaceAll(/\r\n?/g, "\n");
      // Against the standard, Firefox leaves it out.
      if (scene.isFirefox) expected = expected.replaceAll("\0", "");
      assertSame(sse.data, expected, `${what}, by EventSource`);
      assertSame(ws.data, text, `${what}, by WebSocket`);
    });
  });

  test("brings every name of an event", async ({ fixture, page }) => {
    const sse = await page.eventSource({ channels: "news" }, { events: names });
    const ws = await page.webSocket({ channels: "news" });
    await sse.opened();
    await ws.opened();
    for (const [index, event] of names.entries()) {
      const published = { kind: "message", event, id: await fixture.publish("news", "x", { event }), data: "x" };
      assert.deepEqual(await sse.message(index + 1), published);
      assert.deepEqual(await ws.message(index + 1), published);
    }
  });

  test("brings JSON as its text by EventSource and as JSON by WebSocket", async (scene) => {
    await bringAll(scene, jsons, { as: "json" }, (json, sse, ws, what) => {
      assertSame(sse.data, json.replaceAll(/\r\n?/g, "\n"), `${what}, by EventSource`);
      assert.deepEqual(ws.data, JSON.parse(json), what);
    });
  });

  test("brings bytes in base64 by EventSource and as they are by WebSocket", async (scene) => {
    await bringAll(scene, binaries, { as: "binary", event: "image" }, (bytes, sse, ws, what) => {
      assert.equal(sse.event, "image;base64");
      assertSame(sse.data, Buffer.from(bytes).toString("base64"), `${what}, by EventSource`);
      assert.equal(ws.event, "image");
      assert.ok(Buffer.from(ws.data.bytes).equals(Buffer.from(bytes)), `${what}, by WebSocket`);
    });
  });
});

/** Publishes each payload, and compares it with the message that comes by EventSource and that by WebSocket. */
async function bringAll({ fixture, page }, payloads, options, compare) {
  const sse = await page.eventSource({ channels: "news" }, { events: ["image;base64"] });
  const ws = await page.webSocket({ channels: "news" });
  await sse.opened();
  await ws.opened();
  let count = 0;
  for (const [what, payload] of Object.entries(payloads)) {
    const id = await fixture.publish("news", payload, options);
    count += 1;
    const ofSse = await sse.message(count);
    const ofWs = await ws.message(count);
    assert.deepEqual([ofSse.id, ofWs.id], [id, id], what);
    compare(payload, ofSse, ofWs, what);
  }
}

/** Strict equality, that doesn't print megabytes where there is none. */
function assertSame(actual, expected, what) {
  if (actual === expected) return;
  let at = 0;
  while (actual[at] === expected[at]) at += 1;
  const around = (text) => JSON.stringify(text.slice(Math.max(at - 10, 0), at + 10));
  assert.fail(
    `${what}: ${actual.length} units for ${expected.length}; from ${at} on ${around(actual)} for ${around(expected)}`,
  );
}
