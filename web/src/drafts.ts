/** What is being written: it outlives a reload of the tab. */
import type { Submission } from "quell-client";

const DRAFT = "quell.draft";
const LONGEST = 200_000;

export function draft(): Submission | null {
  return read<Submission | null>(DRAFT, null);
}

export function keepDraft(submission: Submission): void {
  write(DRAFT, submission);
}

function read<Value>(name: string, otherwise: Value): Value {
  try {
    return (JSON.parse(sessionStorage.getItem(name) ?? "null") as Value) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** What is too large for a tab's store is not kept: nothing depends on it. */
function write(name: string, value: unknown): void {
  const text = JSON.stringify(value);
  if (text.length > LONGEST) return;
  try {
    sessionStorage.setItem(name, text);
  } catch {
    sessionStorage.removeItem(name);
  }
}
