// Figures and times as people say them.

export const transportNames = { ws: "WebSocket", sse: "SSE + POST", eventsource: "EventSource" };

/** @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** @param {number | undefined} milliseconds */
export function duration(milliseconds) {
  if (milliseconds === undefined) return "–";
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  return milliseconds < 2_000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1_000).toFixed(1)} s`;
}

/** @param {number} at in milliseconds since 1970 */
export function timeOf(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

export function ago(at, now) {
  const seconds = Math.max(0, (now - at) / 1_000);
  if (seconds < 45) return "now";
  if (seconds < 3_600) return `${Math.max(1, Math.round(seconds / 60))} min`;
  return seconds < 86_400 ? `${Math.round(seconds / 3_600)} h` : new Date(at).toLocaleDateString();
}
