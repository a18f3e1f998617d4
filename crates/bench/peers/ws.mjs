// Node: its own http for Server-Sent Events, and the package `ws` for WebSocket.

import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { address, envelope } from "./envelope.mjs";

const streams = new Set();

const server = createServer((request, response) => {
    if (request.url === "/publish") {
        let text = "";
        request.setEncoding("utf8");
        request.on("data", (piece) => (text += piece));
        request.on("end", () => {
            const { id, event, json } = envelope(text);
            for (const stream of streams) stream.write(event);
            const frame = Buffer.from(json);
            for (const socket of sockets.clients) socket.send(frame, { binary: false });
            response.writeHead(200, { "content-length": id.length }).end(id);
        });
    } else if (request.url === "/sse") {
        response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
        response.flushHeaders();
        streams.add(response);
        response.on("close", () => streams.delete(response));
    } else {
        response.writeHead(404).end();
    }
});

const sockets = new WebSocketServer({ server, path: "/ws" });

const { hostname, port } = address();
// The backlog that Dualcast asks for, too.
server.listen({ host: hostname, port, backlog: 4096 }, () => {
    console.error(`listening on http://${hostname}:${server.address().port}`);
});
