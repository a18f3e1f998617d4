// React's side of a live connection, as docs may show it: two hooks of a few lines each.

import { useEffect, useState, useSyncExternalStore } from "react";

/** How the connection stands. */
export function useLiveState(live) {
  return useSyncExternalStore(
    (changed) => live.on("state", changed),
    () => live.state,
  );
}

/** The messages of an event since the component is there, the oldest first. */
export function useMessages(live, event) {
  const [messages, setMessages] = useState([]);
  useEffect(() => live.on(event, (message) => setMessages((before) => [...before, message])), [live, event]);
  return messages;
}
