/** What is being written, and what was submitted from this tab, so that it can be run again. */
import type { Submission } from "quell-client";

const DRAFT = "quell.draft";
const SENT = "quell.sent";
const MOST = 20;
const LONGEST = 200_000;

export function draft(): Submission | null {
  return read<Submission | null>(DRAFT, null);
}

export function keepDraft(submission: Submission): void {
  write(DRAFT, submission);
}

export function keepSent(id: string, submission: Submission): void {
  const others = read<[string, Submission][]>(SENT, []).filter(([other]) => other !== id);
  write(SENT, [[id, submission], ...others].slice(0, MOST));
}

export function sent(id: string): Submission | null {
  return read<[string, Submission][]>(SENT, []).find(([other]) => other === id)?.[1] ?? null;
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
