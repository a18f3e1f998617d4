// Bun: its own server for both, which is uWebSockets inside.

import { address, envelope } from "./envelope.mjs";

const streams = new Set();

const server = Bun.serve({
    ...address(),
    // No stream ends because it was idle.
    idleTimeout: 0,
    async fetch(request, server) {
        const { pathname } = new URL(request.url);
        if (pathname === "/publish") {
            const { id, event, json } = envelope(await request.text());
            for (const stream of streams) stream.enqueue(event);
            server.publish("messages", json);
            return new Response(id);
        }
        if (pathname === "/sse") return new Response(stream(), { headers: { "content-type": "text/event-stream" } });
        if (pathname === "/ws" && server.upgrade(request)) return undefined;
        return new Response(null, { status: 404 });
    },
    websocket: {
        open: (socket) => socket.subscribe("messages"),
        message() {},
    },
});

function stream() {
    let own;
    return new ReadableStream({
        start(controller) {
            own = controller;
            streams.add(own);
            // Bun sends the head with the first bytes.
            own.enqueue(Buffer.from(":\n\n"));
        },
        cancel: () => streams.delete(own),
    });
}

console.error(`listening on http://${server.hostname}:${server.port}`);
