// React's side of a connection: word for word what docs/client.md shows.

import { useEffect, useState, useSyncExternalStore } from "react";
import { connect } from "dualcast";

export function useLive(url) {
  const [live, setLive] = useState();
  useEffect(() => {
    const live = connect(url);
    setLive(live);
    return () => live.close();
  }, [url]);
  return live;
}

export function useLiveState(live) {
  return useSyncExternalStore(
    (changed) => live?.on("state", changed) ?? (() => {}),
    () => live?.state,
    () => undefined,
  );
}

export function useMessage(live, event, handler) {
  useEffect(() => live?.on(event, handler), [live, event, handler]);
}
