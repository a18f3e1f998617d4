// Event streams, each with what the HTML standard says of it, for the tests of the parser.

/**
 * What a block tells, as the parser gives it out.
 *
 * @param {string} data
 * @param {{ event?: string, id?: string, type?: string }} [rest]
 */
export const event = (data, { event = "message", id, type } = {}) => ({ event, data, id, type });
export const comment = (text) => ({ comment: text });
export const retry = (ms) => ({ retry: ms });

/** Text as UTF-8, numbers as bytes. */
export function bytes(...pieces) {
  const encoder = new TextEncoder();
  return Uint8Array.from(pieces.flatMap((piece) => (typeof piece === "number" ? piece : [...encoder.encode(piece)])));
}

const long = "x".repeat(2_048);

/** The examples of sections 9.2.1 and 9.2.6, with what the text says of them. */
const ofTheStandard = [
  {
    name: "two messages, of which one has two lines",
    stream: "data: This is the first message.\n\ndata: This is the second message, it\ndata: has two lines.\n\n",
    told: [event("This is the first message."), event("This is the second message, it\nhas two lines.")],
  },
  {
    name: "named events",
    stream: "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
    told: [
      event("73857293", { event: "add" }),
      event("2153", { event: "remove" }),
      event("113411", { event: "add" }),
    ],
  },
  {
    name: "three lines of data",
    stream: "data: YHOO\ndata: +2\ndata: 10\n\n",
    told: [event("YHOO\n+2\n10")],
  },
  {
    name: "a comment, an id, an id without a value, and a block that the end of the stream does not end",
    stream: ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
    told: [comment("test stream"), event("first event", { id: "1" }), event("second event", { id: "" })],
    lastEventId: "",
  },
  {
    name: "the same with its empty line: one space goes, the next stays",
    stream: ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
    told: [
      comment("test stream"),
      event("first event", { id: "1" }),
      event("second event", { id: "" }),
      event(" third event"),
    ],
    lastEventId: "",
  },
  {
    name: "data without a value",
    stream: "data\n\ndata\ndata\n\ndata:",
    told: [event(""), event("\n")],
  },
  {
    name: "a space behind the colon or none",
    stream: "data:test\n\ndata: test\n\n",
    told: [event("test"), event("test")],
  },
];

/** What the tests `eventsource/format-*` of web-platform-tests hold browsers to, by their names there. */
const ofTheBrowsers = [
  {
    name: "format-bom: one byte order mark goes, a later one does not",
    stream: "\ufeffdata:1\n\n\ufeffdata:2\n\ndata:3\n\n",
    told: [event("1"), event("3")],
  },
  {
    name: "format-bom-2: of two byte order marks one goes",
    stream: "\ufeff\ufeffdata:1\n\ndata:2\n\ndata:3\n\n",
    told: [event("2"), event("3")],
  },
  {
    name: "format-comments: comments of all kinds between the lines of data",
    stream: `data:1\r:\0\n:\r\ndata:2\n:${long}\rdata:3\n:data:fail\r:${long}\ndata:4\n\n`,
    told: [comment("\0"), comment(""), comment(long), comment("data:fail"), comment(long), event("1\n2\n3\n4")],
  },
  {
    name: "format-data-before-final-empty-line: neither the data nor the id of a block that has not ended counts",
    stream: "retry:1000\ndata:test1\n\nid:test\ndata:test2",
    told: [retry(1_000), event("test1")],
    lastEventId: "",
  },
  {
    name: "format-field-data: empty data is data",
    stream: "data:\n\ndata\ndata\n\ndata:test\n\n",
    told: [event(""), event("\n"), event("test")],
  },
  {
    name: "format-field-event: a name is that of one block",
    stream: "event:test\ndata:x\n\ndata:x\n\n",
    told: [event("x", { event: "test" }), event("x")],
  },
  {
    name: "format-field-event-empty: an empty name is none",
    stream: "event: \ndata:data\n\n",
    told: [event("data")],
  },
  {
    name: "format-field-id-2: an id stays until the next",
    stream: "id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n",
    told: [event("a", { id: "1" }), event("b"), event("c", { id: "2" })],
    lastEventId: "2",
  },
  {
    name: "format-field-id-3: an empty id takes it back",
    stream: "id: 1\ndata: a\n\nid\ndata: b\n\n",
    told: [event("a", { id: "1" }), event("b", { id: "" })],
    lastEventId: "",
  },
  {
    name: "format-field-id-null: an id with U+0000 is ignored",
    stream: "id: 1\ndata: a\n\nid: \0\0\ndata: b\n\nid: 2\0\ndata: c\n\nid: \x002\ndata: d\n\n",
    told: [event("a", { id: "1" }), event("b"), event("c"), event("d")],
    lastEventId: "1",
  },
  {
    name: "format-field-parsing: names that are nearly one",
    stream:
      "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
    told: [event("\0\n 2\n1\n3\n\n4")],
  },
  {
    name: "format-field-retry: leading zeros are no octal",
    stream: "retry:03000\ndata:x\n\n",
    told: [retry(3_000), event("x")],
  },
  {
    name: "format-field-retry-bogus: a time that is no number leaves the one before",
    stream: "retry:3000\nretry:1000x\ndata:x\n\n",
    told: [retry(3_000), event("x")],
  },
  {
    name: "format-field-retry-empty: an empty time is none",
    stream: "retry\ndata:test\n\n",
    told: [event("test")],
  },
  {
    name: "format-field-unknown: unknown fields, and a field that begins with a space",
    stream: "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
    told: [comment("thisisacommentyay"), event("test\n\ntest")],
  },
  {
    name: "format-leading-space: a tab is no space",
    stream: "data:\ttest\rdata: \ndata:test\n\n",
    told: [event("\ttest\n\ntest")],
  },
  {
    name: "format-newlines: each kind of line end",
    stream: "data:test\r\ndata\ndata:test\r\n\r",
    told: [event("test\n\ntest")],
  },
  {
    name: "format-null-character: U+0000 is data, and empty lines are nothing",
    stream: "data:\0\n\n\n\n",
    told: [event("\0")],
  },
  {
    name: "format-utf-8: it is UTF-8, whatever else is said",
    stream: "data:ok…\n\n",
    told: [event("ok…")],
  },
];

/** What else the text of the standard says, and what Dualcast sends. */
const ofOurs = [
  { name: "nothing", stream: "", told: [] },
  { name: "nothing but line ends", stream: "\n\r\r\n\n\r\n\r", told: [] },
  { name: "nothing but a byte order mark", stream: "\ufeff", told: [] },
  {
    name: "an opening, a message of JSON, one of text, a volatile one",
    stream:
      'retry: 2874\nid: 0k3f9x2abz-1041\nevent: dualcast:heartbeat\ntype: json\ndata: {"interval":15000}\n\n' +
      'id: 0k3f9x2abz-1042\nevent: note\ntype: json\ndata: {"text":"hello"}\n\n' +
      "id: 0k3f9x2abz-1043\nevent: note\ndata: hello\n\nevent: cursor\ntype: json\ndata: [3,4]\n\n",
    told: [
      retry(2_874),
      event('{"interval":15000}', { event: "dualcast:heartbeat", id: "0k3f9x2abz-1041", type: "json" }),
      event('{"text":"hello"}', { event: "note", id: "0k3f9x2abz-1042", type: "json" }),
      event("hello", { event: "note", id: "0k3f9x2abz-1043" }),
      event("[3,4]", { event: "cursor", type: "json" }),
    ],
    lastEventId: "0k3f9x2abz-1043",
  },
  {
    name: "a block of an id alone moves the last event ID, and tells nothing",
    stream: "id: 1\ndata: a\n\nid: 2\n\n",
    told: [event("a", { id: "1" })],
    lastEventId: "2",
  },
  {
    name: "a block without data leaves nothing to the next",
    stream: "event: lost\ntype: json\nid: 7\n\ndata: a\n\n",
    told: [event("a")],
    lastEventId: "7",
  },
  {
    name: "of a field that stands twice the last counts",
    stream: "event: a\nevent: b\nid: 1\nid: 2\ntype: text\ntype: json\ndata: x\n\nevent: a\nevent\ndata: x\n\n",
    told: [event("x", { event: "b", id: "2", type: "json" }), event("x")],
    lastEventId: "2",
  },
  {
    name: "field names are those, in that case",
    stream: "Data: a\nDATA: a\ndata : a\nEvent: a\nID: 1\nRetry: 1\nType: json\ndata: b\n\n",
    told: [event("b")],
    lastEventId: "",
  },
  {
    name: "colons in values",
    stream: "event: dualcast:gap\ndata: a:b: c\ndata::\n\n",
    told: [event("a:b: c\n:", { event: "dualcast:gap" })],
  },
  {
    name: "spaces at the end stay",
    stream: "event: a \ndata: b \n\n",
    told: [event("b ", { event: "a " })],
  },
  {
    name: "nothing but CR, which may be the end of the stream",
    stream: "data: a\r\rdata: b\rdata: c\r\r",
    told: [event("a"), event("b\nc")],
  },
  {
    name: "nothing but CRLF",
    stream: ": hi\r\nid: 1\r\ndata: a\r\n\r\ndata: b\r\ndata: c\r\n\r\n",
    told: [comment("hi"), event("a", { id: "1" }), event("b\nc")],
    lastEventId: "1",
  },
  {
    name: "a CRLF between two CR is one line end",
    stream: "data: a\r\r\ndata: b\r\r\n",
    told: [event("a"), event("b")],
  },
  {
    name: "LF, then CR: two line ends",
    stream: "data: a\n\rdata: b\n\r",
    told: [event("a"), event("b")],
  },
  {
    name: "line ends of Unicode are none",
    stream: "data: a\u2028b\u2029c\u0085d\x0be\x0cf\n\n",
    told: [event("a\u2028b\u2029c\u0085d\x0be\x0cf")],
  },
  {
    name: "a byte order mark in the middle arrives as it is",
    stream: "data: \ufeffa\ufeff\n\n",
    told: [event("\ufeffa\ufeff")],
  },
  {
    name: "a byte order mark before the first empty line",
    stream: "\ufeff\n\ufeffdata: a\n\ndata: b\n\n",
    told: [event("b")],
  },
  {
    name: "times that are no ASCII digits, or too many",
    stream:
      "retry: -1\nretry: 1.5\nretry: 1e3\nretry:  5\nretry: 5 \nretry: ٣\nretry: 0x10\nretry: 0\nretry: 99999999999\n",
    told: [retry(0), retry(99_999_999_999)],
  },
  {
    name: "a time counts at its line, before the block has ended",
    stream: "data: a\nretry: 5\n",
    told: [retry(5)],
  },
  {
    name: "comments, of which one space goes",
    stream: ":\n: a\n:  b\n:c\n",
    told: [comment(""), comment("a"), comment(" b"), comment("c")],
  },
  {
    name: "letters of two, three and four bytes",
    stream: "event: ö€😀\nid: ö€😀\ndata: ö€😀\n\n",
    told: [event("ö€😀", { event: "ö€😀", id: "ö€😀" })],
    lastEventId: "ö€😀",
  },
  {
    name: "what is no UTF-8 becomes U+FFFD, for each longest piece that could have become a letter",
    // A byte that never stands in UTF-8, one that continues nothing, a letter that "x" cuts, and one that the line's end does.
    stream: bytes("data: ", 0xff, "a", 0x80, "b", 0xe2, 0x82, "x", 0xf0, 0x9f, 0x98, "\n\ndata: c\n\n"),
    told: [event("\ufffda\ufffdb\ufffdx\ufffd"), event("c")],
  },
  {
    name: "surrogates and overlong forms are no UTF-8: each byte for itself",
    stream: bytes("data: ", 0xed, 0xa0, 0x80, "a", 0xc0, 0x80, "\n\n"),
    told: [event("\ufffd\ufffd\ufffda\ufffd\ufffd")],
  },
  {
    name: "half a byte order mark is none",
    stream: bytes(0xef, 0xbb, "\ndata: a\n\n"),
    told: [event("a")],
  },
  {
    name: "an end within a letter",
    stream: bytes("data: a\n\ndata: ", 0xe2, 0x82),
    told: [event("a")],
  },
];

export const streams = [...ofTheStandard, ...ofTheBrowsers, ...ofOurs].map(({ name, stream, told, lastEventId }) => ({
  name,
  stream: typeof stream === "string" ? bytes(stream) : stream,
  told,
  lastEventId,
}));
