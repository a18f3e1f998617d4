// What stands around a message, with the same parts as Dualcast's and ids as long: made once, for everybody.

let last = 0;

export function envelope(text) {
    const id = `0k3f9x2abz-${++last}`;
    return {
        id,
        event: Buffer.from(`id: ${id}\ndata: ${text}\n\n`),
        json: JSON.stringify({ id, event: "message", data: text }),
    };
}

/** Where to listen: `ADDR`, as the bench sets it. */
export function address() {
    const [hostname, port] = (process.env.ADDR ?? "127.0.0.1:3000").split(":");
    return { hostname, port: Number(port) };
}
