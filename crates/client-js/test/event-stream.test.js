// The parser of event streams: what the HTML standard says, however the bytes are cut, and what two others make of them.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createParser } from "eventsource-parser";
import { EventSourceStream } from "undici/lib/web/eventsource/eventsource-stream.js";
import { createEventStreamParser } from "../js/dualcast/event-stream.js";
import { bytes, event, streams } from "./event-streams.js";
import { Random } from "./random.js";

/** Up to so many bytes a stream is cut at each pair of places, which are as many as the square. */
const small = 120;
const randomStreams = 2_000;
const randomCuts = 20;

describe("the event stream", () => {
  for (const { name, stream, told, lastEventId = "" } of streams) {
    test(`is read as the standard says: ${name}`, () => {
      assert.deepEqual(read([stream]), { told, lastEventId });
    });

    test(`is read the same however it is cut: ${name}`, () => {
      const expected = { told, lastEventId };
      assert.deepEqual(read(single(stream)), expected, "byte by byte");
      for (let first = 0; first <= stream.length; first++) {
        assert.deepEqual(read(cut(stream, [first])), expected, `cut at ${first}`);
        if (stream.length > small) continue;
        for (let second = first; second <= stream.length; second++) {
          assert.deepEqual(read(cut(stream, [first, second])), expected, `cut at ${first} and ${second}`);
        }
      }
      const random = new Random(stream.length);
      for (let i = 0; i < randomCuts; i++) {
        const places = randomPlaces(random, stream.length);
        assert.deepEqual(read(cut(stream, places)), expected, `cut at ${places}`);
      }
    });
  }

  test("is read the same however it is cut, whatever stands in it", () => {
    for (let seed = 0; seed < randomStreams; seed++) {
      const random = new Random(seed);
      const stream = randomStream(random, randomPieces);
      const expected = asTheStandardSays(stream);
      assert.deepEqual(read([stream]), expected, `seed ${seed}`);
      assert.deepEqual(read(cut(stream, randomPlaces(random, stream.length))), expected, `seed ${seed}, cut`);
    }
  });
});

describe("the parser", () => {
  test("gives an event out at the CR of its empty line, before it knows whether an LF follows", () => {
    for (const end of ["\r\r", "\n\r", "\r\n\r"]) {
      const told = [];
      const parser = parserInto(told);
      parser.push(bytes(`data: a${end}`));
      assert.deepEqual(told, [event("a")], JSON.stringify(end));
      parser.push(bytes("\n"));
      assert.deepEqual(told, [event("a")], "the LF belongs to it, and is no empty line");
      parser.push(bytes("data: b\n\n"));
      assert.deepEqual(told, [event("a"), event("b")]);
    }
  });

  test("knows the LF of a CR behind pieces that bring no letter", () => {
    const told = [];
    const parser = parserInto(told);
    for (const piece of [bytes("data: a\r"), bytes(), bytes("\n"), bytes("data: b\r\n\r"), bytes(), bytes("\n")]) {
      parser.push(piece);
    }
    assert.deepEqual(told, [event("a\nb")]);
  });

  test("moves the last event ID when the block ends, before the listener hears of it", () => {
    let seen;
    const parser = createEventStreamParser({ event: () => (seen = parser.lastEventId) });
    parser.push(bytes("id: 1\ndata: a\n"));
    assert.equal(parser.lastEventId, "");
    parser.push(bytes("\n"));
    assert.deepEqual([seen, parser.lastEventId], ["1", "1"]);
    parser.push(bytes("id: 2\n"));
    assert.equal(parser.lastEventId, "1");
    parser.push(bytes("\n"));
    assert.equal(parser.lastEventId, "2");
  });

  test("keeps a last event ID that it is given until a block brings another", () => {
    const parser = createEventStreamParser({ event() {} });
    parser.lastEventId = "7";
    parser.push(bytes("data: a\n\n"));
    assert.equal(parser.lastEventId, "7");
    parser.push(bytes("id\n\n"));
    assert.equal(parser.lastEventId, "");
  });

  test("needs no listener but that of events", () => {
    const events = [];
    const parser = createEventStreamParser({ event: (block) => events.push(block) });
    parser.push(bytes("retry: 5\n: comment\ndata: a\n\n"));
    assert.deepEqual(events, [event("a")]);
  });

  test("calls a listener as the method that it is", () => {
    class Listener {
      heard = [];
      event({ data }) {
        this.heard.push(data);
      }
      retry(ms) {
        this.heard.push(ms);
      }
      comment(text) {
        this.heard.push(text);
      }
    }
    const listener = new Listener();
    createEventStreamParser(listener).push(bytes("retry: 5\n: c\ndata: a\n\n"));
    assert.deepEqual(listener.heard, [5, "c", "a"]);
  });

  test("tells everything though a listener throws, then throws what it threw", () => {
    const events = [];
    const parser = createEventStreamParser({
      event(block) {
        events.push(block);
        if (block.data === "bad") throw new Error(`at ${block.id}`);
      },
    });
    const piece = bytes("id: 1\nevent: a\ntype: json\ndata: bad\n\ndata: b\n\nid: 2\nda");
    assert.throws(() => parser.push(piece), new Error("at 1"));
    assert.equal(parser.lastEventId, "1");
    parser.push(bytes("ta: c\n\n"));
    assert.deepEqual(events, [
      event("bad", { event: "a", id: "1", type: "json" }),
      event("b"),
      event("c", { id: "2" }),
    ]);
  });

  test("throws what a listener threw first at one piece, also where that is nothing", () => {
    const parser = createEventStreamParser({
      event() {
        throw new Error("event");
      },
      retry() {
        throw undefined;
      },
      comment() {
        throw "comment";
      },
    });
    assert.throws(() => parser.push(bytes("data: a\n\n:\nretry: 1\n")), new Error("event"));
    let thrown = "nothing";
    try {
      parser.push(bytes("retry: 1\n"));
    } catch (error) {
      thrown = error;
    }
    assert.equal(thrown, undefined);
  });

  test("reads a burst of 10,000 events each in order", () => {
    const count = 10_000;
    const stream = bytes(Array.from({ length: count }, (_, n) => `id: a-${n}\nevent: n\ndata: ${n}\n\n`).join(""));
    for (const size of [7, 1_024, 65_536, stream.length]) {
      const { told, lastEventId } = read(pieces(stream, size));
      assert.equal(told.length, count);
      assert.ok(told.every(({ id, data }, n) => id === `a-${n}` && data === `${n}`), `in pieces of ${size}`);
      assert.equal(lastEventId, `a-${count - 1}`);
    }
  });

  // A parser that searches or copies again what it has kept needs minutes for these: the runner's time limit is the judge.
  const megabytes = [
    ["in one line", "data: ", "x"],
    ["in short lines", "", "data: x\n"],
    ["in lines that end in CR", "", "data: x\r"],
    ["in lines that end in CRLF", "", "data: x\r\n"],
    ["in a field that is unknown", "x", "x"],
    ["in a comment", ":", "x"],
  ];
  for (const [where, start, part] of megabytes) {
    test(`reads megabytes ${where} in small pieces`, () => {
      const length = 4 << 20;
      const stream = bytes(`${start}${part.repeat(length / part.length)}\n\n`);
      const { told } = read(pieces(stream, 16));
      const count = length / part.length;
      const expected = part.startsWith("data") ? `x${"\nx".repeat(count - 1)}` : part.repeat(count);
      const [first] = told;
      // Compared by length first: what differs would be printed.
      const text = first?.data ?? first?.comment ?? "";
      assert.equal(text.length, where === "in a field that is unknown" ? 0 : expected.length);
      assert.ok(text.length === 0 || text === expected);
      assert.equal(told.length, text.length === 0 ? 0 : 1);
    });
  }
});

// What two others make of the same bytes. They read them as the standard says; where they don't, a test below says so, and the
// streams that show it are left out here.
describe("a second opinion", () => {
  for (const { name, stream, told } of streams) {
    test(`of eventsource-parser: ${name}`, () => {
      const events = told.filter(({ data }) => data !== undefined);
      assert.deepEqual(readByEventsourceParser(stream), events.map(({ event, data, id }) => ({ event, data, id })));
    });

    test(`of undici: ${name}`, { skip: undiciDeviatesAt(stream) }, () => {
      assert.deepEqual(readByUndici(stream), readInUndicisWords(stream));
    });
  }

  test("of both, on random streams", () => {
    let agreed = 0;
    for (let seed = 0; seed < randomStreams; seed++) {
      const stream = randomStream(new Random(seed), randomPieces);
      const events = read([stream]).told.filter(({ data }) => data !== undefined);
      assert.deepEqual(
        readByEventsourceParser(stream),
        events.map(({ event, data, id }) => ({ event, data, id })),
        `eventsource-parser, seed ${seed}`,
      );
      if (undiciDeviatesAt(stream)) continue;
      agreed++;
      assert.deepEqual(readByUndici(stream), readInUndicisWords(stream), `undici, seed ${seed}`);
    }
    assert.ok(agreed > randomStreams / 10, `undici was asked ${agreed} times`);
  });

  // Section 9.2.6: a single CR ends a line, and an empty line dispatches the event. Of a server that ends its lines so and then
  // waits, the last event would not be delivered.
  test("eventsource-parser holds an event back at a CR that ends a piece", () => {
    const events = [];
    const parser = createParser({ onEvent: ({ data }) => events.push(data) });
    parser.feed("data: a\r\r");
    assert.deepEqual(events, []);
    assert.deepEqual(read([bytes("data: a\r\r")]).told, [event("a")]);
  });

  // Section 9.2.6, the first step of the dispatch: the last event ID is set before it is asked whether there is data.
  test("eventsource-parser says nothing of a block of an id alone", () => {
    assert.deepEqual(readByEventsourceParser(bytes("id: 1\n\n")), []);
    assert.equal(read([bytes("id: 1\n\n")]).lastEventId, "1");
  });

  // Section 9.2.6: a byte order mark is that of UTF-8, thus one letter of the decoded text. These are three.
  test("eventsource-parser takes three letters of Latin-1 for a byte order mark", () => {
    const stream = bytes("ï»¿data: a\n\n");
    assert.deepEqual(readByEventsourceParser(stream), [{ event: "message", data: "a", id: undefined }]);
    assert.deepEqual(read([stream]).told, []);
  });

  // Section 9.2.6: a field `id` without U+0000 sets the buffer, also to nothing; an example there says that it does.
  test("undici does not take an id back", () => {
    const stream = bytes("id: 1\ndata: a\n\nid\ndata: b\n\n");
    assert.equal(readByUndici(stream).lastEventId, "1");
    assert.equal(read([stream]).lastEventId, "");
  });

  // Section 9.2.6: a field `event` sets the buffer, also to nothing.
  test("undici does not take a name back", () => {
    const stream = bytes("event: a\nevent\ndata: x\n\n");
    assert.equal(readByUndici(stream).events[0].event, "a");
    assert.deepEqual(read([stream]).told, [event("x")]);
  });

  // Section 9.2.6: the reconnection time is set where the field is processed, and not where its block ends.
  test("undici forgets a time whose block has not ended", () => {
    const stream = bytes("retry: 5\n");
    assert.equal(readByUndici(stream).retry, undefined);
    assert.deepEqual(read([stream]).told, [{ retry: 5 }]);
  });
});

/** What our parser tells of a stream in these pieces. */
function read(pieces) {
  const told = [];
  const parser = parserInto(told);
  for (const piece of pieces) parser.push(piece);
  return { told, lastEventId: parser.lastEventId };
}

function parserInto(told) {
  return createEventStreamParser({
    event: (block) => told.push(block),
    retry: (ms) => told.push({ retry: ms }),
    comment: (text) => told.push({ comment: text }),
  });
}

/** The standard's algorithm on a stream that is there as a whole, as plainly as it can be written. */
function asTheStandardSays(stream) {
  const lines = new TextDecoder().decode(stream).split(/\r\n|\r|\n/);
  lines.pop();
  const told = [];
  let [data, name, lastEventId, idBuffer] = ["", "", "", ""];
  let own = {};
  for (const line of lines) {
    if (line === "") {
      lastEventId = idBuffer;
      if (data !== "") told.push(event(data.slice(0, -1), { event: name || "message", ...own }));
      [data, name, own] = ["", "", {}];
      continue;
    }
    const [, field, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
    if (line.startsWith(":")) told.push({ comment: value });
    if (field === "data") data += `${value}\n`;
    if (field === "event") name = value;
    if (field === "id" && !value.includes("\0")) idBuffer = own.id = value;
    if (field === "type") own.type = value;
    if (field === "retry" && /^[0-9]+$/.test(value)) told.push({ retry: Number(value) });
  }
  return { told, lastEventId };
}

function readByEventsourceParser(stream) {
  const events = [];
  const parser = createParser({
    onEvent: ({ event = "message", data, id }) => events.push({ event, data, id }),
  });
  parser.feed(new TextDecoder().decode(stream));
  // A comment more: so that it looks at a CR at the end.
  parser.feed(":\n");
  return events;
}

function readByUndici(stream) {
  const events = [];
  const state = { lastEventId: "" };
  const source = new EventSourceStream({
    eventSourceSettings: state,
    push: ({ type, options: { data, lastEventId } }) => events.push({ event: type, data, lastEventId }),
  });
  source._transform(Buffer.from(stream), undefined, (error) => assert.ifError(error));
  return { events, lastEventId: state.lastEventId, retry: state.reconnectionTime };
}

/** What our parser tells, in undici's words: with the last event ID as it is at each event, and the last time. */
function readInUndicisWords(stream) {
  const events = [];
  let time;
  const parser = createEventStreamParser({
    event: ({ event, data }) => events.push({ event, data, lastEventId: parser.lastEventId }),
    retry: (ms) => (time = ms),
  });
  parser.push(stream);
  return { events, lastEventId: parser.lastEventId, retry: time };
}

/** Whether undici is known to tell this stream otherwise, and why: each has a test of its own. */
function undiciDeviatesAt(stream) {
  const lines = new TextDecoder().decode(stream).split(/\r\n|\r|\n/);
  if (lines.some((line) => /^(id|event)(: ?)?$/.test(line))) return "an empty id or name";
  const unended = lines.slice(lines.lastIndexOf("", -2) + 1);
  return unended.some((line) => line.startsWith("retry")) && "a time in a block that has not ended";
}

function randomStream(random, choices) {
  return bytes(...Array.from({ length: random.below(40) }, () => random.of(choices)));
}

const randomPieces = [
  ..."\n\n\n\n\n\r\r\r\r\n\r\n: :: \0\ufeff",
  ..."dataé€😀",
  "data",
  "data:",
  "data: ",
  "event: ",
  "id: ",
  "type: json",
  "retry: ",
  "12",
  "\ndata: a\n\n",
  "\r\ndata: b\r\n\r\n",
  "\rdata: c\r\r",
  0xff,
  0x80,
  0xe2,
  0xf0,
  0xef,
  0xbb,
  0xbf,
];

function randomPlaces(random, length) {
  return Array.from({ length: random.below(8) }, () => random.below(length + 1)).sort((a, b) => a - b);
}

/** The stream in pieces that end at these places, which rise. */
function cut(stream, places) {
  return [...places, stream.length].map((place, i) => stream.subarray(places[i - 1] ?? 0, place));
}

function pieces(stream, size) {
  return Array.from({ length: Math.ceil(stream.length / size) }, (_, i) => stream.subarray(i * size, (i + 1) * size));
}

function single(stream) {
  return pieces(stream, 1);
}
