/** The connection to the server, in the corner; and across the page once it is away for a while. */
import { useEffect, useState } from "preact/hooks";
import { now, ticking } from "../format.js";
import { link } from "../live.js";

const PATIENT_MS = 3000;

function useOnline(): boolean {
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const look = () => setOnline(navigator.onLine);
    addEventListener("online", look);
    addEventListener("offline", look);
    return () => {
      removeEventListener("online", look);
      removeEventListener("offline", look);
    };
  }, []);
  return online;
}

export function LinkState() {
  const online = useOnline();
  const { state } = link.value;
  const word = state === "live" ? "Live" : state === "connecting" ? "Connecting" : online ? "Reconnecting" : "Offline";
  return (
    <span class={`link-state link-${state}`} role="status">
      <i aria-hidden="true" />
      {word}
    </span>
  );
}

export function LinkBanner() {
  const online = useOnline();
  const here = link.value;
  if (here.state !== "away" || now.value - here.since < PATIENT_MS) return null;
  const wait = Math.max(0, here.retryAt - now.value);
  return (
    <div class="banner" role="alert">
      <strong>{online ? "The server does not answer." : "You are offline."}</strong> What is shown is as it was{" "}
      {ticking(now.value - here.since)} ago. Runs go on without this page.{" "}
      {wait > 1000 ? `Next try in ${ticking(wait)}.` : "Trying again…"}
    </div>
  );
}
