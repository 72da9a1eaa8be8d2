/** What the view of health looks at, read anew each few seconds while it is open. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Cancellation, Readiness } from "quell-client";
import { quell } from "../session.js";
import { readMetrics, type Sample } from "./metrics.js";

const EVERY_MS = 5000;
/** The most records of stops that are read. */
export const MOST_RECORDS = 5000;

export interface Health {
  ready: Readiness | null;
  samples: readonly Sample[];
  records: readonly Cancellation[];
  to: number;
  error: unknown;
}

export const health = signal<Health | null>(null);

export function useHealth(hours: number): void {
  useEffect(() => {
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      if (!document.hidden) await read(hours, end.signal);
      if (!end.signal.aborted) timer = setTimeout(() => void look(), EVERY_MS);
    };
    void look();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [hours]);
}

async function read(hours: number, signal: AbortSignal): Promise<void> {
  const to = Date.now();
  const from = to - hours * 3_600_000;
  try {
    const [ready, text, records] = await Promise.all([
      quell.ready({ signal }),
      quell.metrics({ signal }),
      recordsSince(from, signal),
    ]);
    health.value = { ready, samples: readMetrics(text), records, to, error: null };
  } catch (error) {
    if (signal.aborted) return;
    const before = health.peek();
    health.value = { ready: null, samples: [], records: [], to, ...before, error };
  }
}

async function recordsSince(from: number, signal: AbortSignal): Promise<Cancellation[]> {
  const records: Cancellation[] = [];
  const asked = { since: new Date(from), limit: MOST_RECORDS, signal };
  for await (const record of quell.cancellations(asked)) records.push(record);
  return records;
}
