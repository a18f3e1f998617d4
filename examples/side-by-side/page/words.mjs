// Numbers and names as people read them.

/** The transports, by the names that Dualcast's client has for them. */
export const transportNames = { sse: "Server-Sent Events", ws: "WebSocket" };

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** `1,000` */
export function number(value) {
  return whole.format(value);
}

/** `1 message`, `1,000 messages` */
export function messages(count) {
  return `${number(count)} ${count === 1 ? "message" : "messages"}`;
}

/** `4.0`, `337`: messages a second. */
export function rate(value) {
  return value < 99.5 ? value.toFixed(1) : number(value);
}

/** `0.21 s`, `1.2 s`, `10 s`: three figures at most. */
export function seconds(milliseconds) {
  const value = Math.max(0, milliseconds) / 1_000;
  return `${value.toFixed(value < 1 ? 2 : value < 9.95 ? 1 : 0)} s`;
}

/** `0.42 ms`, `3.1 ms`, `120 ms`, `1.2 s` */
export function latency(milliseconds) {
  if (milliseconds >= 1_000) return seconds(milliseconds);
  const value = Math.max(0, milliseconds);
  return `${value.toFixed(value < 1 ? 2 : value < 9.95 ? 1 : 0)} ms`;
}

/** `820 B`, `1.2 kB`, `3.4 GB` */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1_000;
  return `${value.toFixed(unit === 0 || value >= 99.5 ? 0 : 1)} ${units[unit]}`;
}

/** An id, shortened in the middle where it is long. */
export function shorten(id, length = 18) {
  return id.length <= length ? id : `${id.slice(0, 5)}…${id.slice(6 - length)}`;
}
