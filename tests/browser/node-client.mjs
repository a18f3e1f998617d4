// Dualcast's own client in Node, in a process of its own: it notes what it hears as lines of JSON, sends each line that it is
// given, and closes the client at the end of what it is given. It then has nothing left to do.
//
//     node node-client.mjs http://127.0.0.1:3000/live '["ws"]' [with-ws]

import { createInterface } from "node:readline";
import { connect } from "../../crates/client-js/js/dualcast.js";

const [, , url, transport, withWs] = process.argv;
// Node 20 has no WebSocket of its own that is open to all.
const options = withWs ? { WebSocket: (await import("ws")).WebSocket } : {};
const live = connect(url, { transport: JSON.parse(transport), whileAway: "queue", ...options });

const note = (kind, value) => console.log(JSON.stringify({ kind, ...value }));
live.on("*", (message) => note("message", message));
for (const kind of ["state", "recovered", "gap"]) live.on(kind, (value) => note(kind, value));
live.on("closed", () => note("left", { timers: process.getActiveResourcesInfo().filter((kind) => kind === "Timeout") }));
live.on("error", (error) => note("error", { message: String(error) }));

const input = createInterface({ input: process.stdin });
input.on("line", async (line) => note("reply", await live.send("note", line)));
input.on("close", () => live.close());
