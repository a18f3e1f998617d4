// What an application in TypeScript writes, against the declarations that the package ships. It is compiled, and not run. The
// line behind a `@ts-expect-error` has to be refused: the compiler complains where it is not.

import { connect, createEventStreamParser, LiveError } from "dualcast";
import { createPresence } from "dualcast/presence";
import type { Gap, Item, Meta, Options, State } from "dualcast";

type Events = { note: { text: string }; count: number };

const options: Options = {
  transport: ["ws", "sse"],
  position: "0k3f9x2abz-1041",
  persist: true,
  token: async ({ refresh }) => (refresh ? "new" : null),
  headers: () => ({ "x-tenant": "a" }),
  credentials: "include",
  whileAway: { note: "queue", count: "drop" },
  signal: new AbortController().signal,
};
const live = connect<Events>("/rooms/42", options);

const off: () => void = live.on("note", (note, meta) => {
  const text: string = note.text;
  const { event, id, channel, volatile }: Meta = meta;
  console.log(text, event, id?.length, channel?.length, volatile === true);
});
off();
live.on("count", (count) => count.toFixed(2));

const here = createPresence<{ name: string }>(live, { channel: "room.42" });
here.on(() => console.log(here.count.toFixed(), here.members.get("u1")?.name.length));
// @ts-expect-error: it is the server's
here.members.set("u2", { name: "Bob" });
here.stop();
live.onMessage("note", ({ text }) => text.length);

live.on("state", ({ status, transport, retryAt, code, reason }: State) => {
  const isOpen: boolean = status === "open";
  console.log(isOpen, transport, retryAt?.toFixed(), code, reason);
});
live.on("gap", ({ channel, from, to, reason }: Gap) => console.log(channel, from?.length, to?.length, reason));
live.on("recovered", ({ count }) => count.toFixed());
live.on("unsent", (count) => count.toFixed());
live.on("*", ({ event, data, id }: Item) => console.log(event, data, id));

const state: State = live.state;
const cursor: string | undefined = live.cursor;
const unsent: number = live.unsent;
console.log(state, cursor, unsent);

async function talk() {
  try {
    await live.send("note", { text: "hello" });
    await live.send("count", 3, { key: "b1946ac9", whileAway: "queue" });
  } catch (error) {
    if (error instanceof LiveError) console.log(error.code.length, error.retry?.toFixed(), error.status?.toFixed());
  }
  for await (const item of live) {
    if ("gap" in item) console.log(item.gap.reason);
    else console.log(item.event, item.data);
  }
}

async function join() {
  const room = live.subscribe("room.42", { position: "0k3f9x2abz-1041" });
  room.on("note", ({ text }) => text.length);
  await room.ready;
  for await (const item of room) console.log(item);
  room.unsubscribe();
}

talk().then(join).finally(() => live.close());

// @ts-expect-error: there is no such event
live.on("nots", () => {});
// @ts-expect-error: a note has no title
live.on("note", (note) => note.title);
// @ts-expect-error: nor is it a number
live.on("note", (note: number) => note);
// @ts-expect-error: a text is needed
live.send("note", {});
// @ts-expect-error: a text is a string
live.send("note", { text: 5 });
// @ts-expect-error: there is no such event
live.send("nots", { text: "hello" });
// @ts-expect-error: a count is no note
live.onMessage("count", ({ text }) => text);
// @ts-expect-error: the events are those of the connection on a channel, too
live.subscribe("room.42").on("nots", () => {});
// @ts-expect-error: there is no such state
live.on("state", ({ status }) => status === "closing");
// @ts-expect-error: there is no such transport
connect("/rooms/42", { transport: "websocket" });
// @ts-expect-error: it is read alone
live.state = state;

// Events may stand in an interface, and need not be told at all.
interface Prices {
  price: { bid: number };
}
const prices = connect<Prices>({ sse: "/prices", send: new URL("https://example.com/prices") });
prices.on("price", ({ bid }) => bid.toFixed());
connect("/rooms/42").on("anything", (data, { id }) => console.log(data.text, id));

const parser = createEventStreamParser({ event: ({ event, data, id, type }) => console.log(event, data, id?.length, type) });
parser.push(new Uint8Array());
// @ts-expect-error: it takes bytes
parser.push("data: a");
