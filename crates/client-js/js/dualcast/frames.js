// What both transports say, in one form: a message of the application, or a notice of Dualcast itself.
//
// A WebSocket has this form already, in JSON. An event stream says the same in the fields of its events.

/**
 * @typedef {object} Message
 * @property {undefined} [control]
 * @property {string} event
 * @property {any} data text as a string, JSON as what it says, binary as a Uint8Array
 * @property {string} [id]
 * @property {string} [channel]
 */
/** @typedef {{ control: string, id?: string, [field: string]: any }} Notice */
/** @typedef {Message | Notice} Frame */
/** @typedef {import("./event-stream.js").Block} Block */

const NOTICE = "dualcast:";
const BASE64 = ";base64";

/**
 * @param {Block} block
 * @param {boolean} namesChannels whether the channel and a slash stand before each event's name
 * @returns {Frame}
 */
export function fromBlock({ event, data, id, type }, namesChannels) {
  if (event.startsWith(NOTICE)) return { ...JSON.parse(data), control: event.slice(NOTICE.length), id };
  /** @type {Message} */
  const message = { event, data, id };
  if (namesChannels) {
    const end = event.indexOf("/");
    message.channel = event.slice(0, end);
    message.event = event.slice(end + 1);
  }
  if (message.event.endsWith(BASE64)) {
    message.event = message.event.slice(0, -BASE64.length);
    message.data = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  } else if (type === "json") {
    message.data = JSON.parse(data);
  }
  return message;
}

/**
 * @param {string | ArrayBuffer} data a text frame, or a binary one: a line of JSON, and the bytes
 * @returns {Frame}
 */
export function fromSocket(data) {
  if (typeof data === "string") return JSON.parse(data);
  const bytes = new Uint8Array(data);
  const lineEnd = bytes.indexOf(10);
  return { ...JSON.parse(new TextDecoder().decode(bytes.subarray(0, lineEnd))), data: bytes.subarray(lineEnd + 1) };
}
