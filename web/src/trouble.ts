/** An error, as a sentence and what to do about it. */
import { Refused, Unreachable } from "quell-client";
import { MEMBER_NAME } from "./words.js";

export interface Trouble {
  what: string;
  todo: string;
}

const TODO: Record<string, string> = {
  unauthorized: "Sign in again with a key of this server.",
  forbidden: "This server does not allow it from here; the sentence says why.",
  "not-found": "It may have been deleted, or belongs to somebody else.",
  conflict: "Look at its present state; then try again.",
  "attempt-mismatch": "Another attempt runs now: look at it first.",
  "too-large": "Make it smaller, or read the data from elsewhere.",
  limit: "Wait until there is room, then try again.",
  unavailable: "Nothing was done. Try again in a moment.",
  "disk-full": "Nothing was done. Free space on the server's disk.",
  timeout: "Nothing was done. Try again in a moment.",
};

export function troubleOf(error: unknown): Trouble {
  if (error instanceof Refused)
    return { what: sentence(error.message), todo: TODO[error.kind] ?? "" };
  if (error instanceof Unreachable)
    return {
      what: "The server does not answer.",
      todo: "Nothing is known of what was asked: look at the state once it is back.",
    };
  return { what: sentence(error instanceof Error ? error.message : String(error)), todo: "" };
}

/** The server begins with the member that is wrong, by its name in the API. */
function sentence(text: string): string {
  const named = text.replace(/^\w+/, (word) => (MEMBER_NAME as Record<string, string>)[word] ?? word);
  const whole = named.charAt(0).toUpperCase() + named.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
