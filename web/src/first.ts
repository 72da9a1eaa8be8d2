/** The first page of the list, as ahead.ts asked for it. */
import type { Evaluation } from "quell-client";

/** Where the key of this tab is kept. */
export const STORE = "quell.key";
/** As many as fill a large screen. */
export const SCREEN = 50;

export interface Asked {
  key: string | null;
  answer: Promise<Response>;
}

declare global {
  var quellAhead: Asked | undefined;
}

/** Once, and for whoever asked; else null. A refusal is thrown: asking again would bring another one. */
export async function takeAhead(key: string | null): Promise<readonly Evaluation[] | null> {
  const asked = globalThis.quellAhead;
  globalThis.quellAhead = undefined;
  const response = asked?.key === key && (await asked.answer.catch(() => null));
  if (!response) return null;
  if (!response.ok) throw new Error(`the first rows were refused: ${response.status}`);
  return ((await response.json()) as { evaluations: Evaluation[] }).evaluations;
}
