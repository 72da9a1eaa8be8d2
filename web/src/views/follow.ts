/** An output, followed while it is looked at. */
import type { Stream } from "quell-client";
import { useEffect, useState } from "preact/hooks";
import { quell } from "../session.js";
import { append, type Lines, NO_LINES } from "./lines.js";

/** What came within this time is drawn together. */
const GATHER_MS = 50;

interface Followed {
  lines: Lines;
  error: unknown;
}

export function useOutput(id: string, attempt: number, stream: Stream | undefined, begun: boolean): Followed {
  const [seen, setSeen] = useState<Followed>({ lines: NO_LINES, error: null });
  useEffect(() => {
    setSeen({ lines: NO_LINES, error: null });
    if (!begun) return undefined;
    const end = new AbortController();
    void read(id, attempt, stream, end.signal, setSeen);
    return () => end.abort();
  }, [id, attempt, stream, begun]);
  return seen;
}

async function read(
  id: string,
  attempt: number,
  stream: Stream | undefined,
  signal: AbortSignal,
  setSeen: (change: (before: Followed) => Followed) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let waiting = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  const draw = () => {
    timer = undefined;
    const text = waiting;
    waiting = "";
    if (!signal.aborted) setSeen((before) => ({ ...before, lines: append(before.lines, text) }));
  };
  try {
    for await (const piece of quell.follow(id, { attempt, stream, signal })) {
      waiting += decoder.decode(piece, { stream: true });
      timer ??= setTimeout(draw, GATHER_MS);
    }
    waiting += decoder.decode();
    if (waiting && !timer) draw();
  } catch (error) {
    if (!signal.aborted) setSeen((before) => ({ ...before, error }));
  }
}
