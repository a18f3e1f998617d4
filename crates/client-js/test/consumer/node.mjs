// What a program for Node writes: it follows a stream, prints what came, closes, and nothing is left that keeps it running.

import { createServer } from "node:http";
import { connect, createEventStreamParser, LiveError } from "dualcast";
import { createPresence } from "dualcast/presence";

if (new LiveError("away", "a message").code !== "away") throw new Error("a LiveError has its code");
const parser = createEventStreamParser({ event: ({ data }) => console.log("parsed", data) });
parser.push(new TextEncoder().encode("data: a\n\n"));

const server = createServer((_request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write('id: e-0\nevent: dualcast:heartbeat\ntype: json\ndata: {"interval":15000}\n\n');
  response.write('id: e-1\nevent: note\ntype: json\ndata: {"text":"hello"}\n\n');
});
server.listen(0, "127.0.0.1", () => {
  const live = connect(`http://127.0.0.1:${server.address().port}/`, { transport: "sse" });
  if (createPresence(live).count !== 0) throw new Error("nobody has said who is there");
  live.on("note", ({ text }, { id }) => {
    console.log("heard", text, id);
    live.close();
    server.close();
    server.closeAllConnections();
  });
});
