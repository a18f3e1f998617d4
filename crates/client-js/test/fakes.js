// What stands in for the world in the tests of the client: a clock that goes when it is told to, a server whose every word a test writes,
// and a page that is hidden, put away and brought back.
//
// The client gets `fetch`, `WebSocket` and `EventSource` by its options, as an application's own would be.

export { client, fallenBack, fate, notesOf, onSocket, onStream, posted, sent, streaming, welcome } from "./fakes/client.js";
export { pass, passAlive, setClock, settle, sleepMachine, stopTime } from "./fakes/clock.js";
export { Page } from "./fakes/page.js";
export { Server } from "./fakes/server.js";
