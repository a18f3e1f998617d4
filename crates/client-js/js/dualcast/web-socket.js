// The browser's own WebSocket.

import { fromSocket } from "./frames.js";

/** RFC 6455, section 7.4.1: it was closed on purpose. */
const NORMAL_CLOSURE = 1000;

/** @type {import("./link.js").OpenWire} */
export function openWebSocket({ url, right: { token }, WebSocket }, to) {
  // A browser can't set a header on a WebSocket. The one that is spoken has to be offered, too: a token is never echoed.
  const protocols = ["dualcast.v1", ...(token ? [`dualcast.token.${token}`] : [])];
  const socket = new WebSocket(url.replace(/^http/, "ws"), protocols);
  socket.binaryType = "arraybuffer";

  socket.onmessage = ({ data }) => to.frame(() => fromSocket(data), data);
  // A close follows. In Node an error that nobody hears ends the process.
  socket.onerror = () => {};
  socket.onclose = ({ code, reason }) => to.lost({ code, message: reason });
  return {
    close: () => socket.close(NORMAL_CLOSURE),
    send: (text) => socket.send(text),
  };
}
