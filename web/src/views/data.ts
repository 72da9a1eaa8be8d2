/** One evaluation with its decisions, kept as it changes. */
import { useEffect, useState } from "preact/hooks";
import { type Cancellation, type Evaluation, Refused, type TimelineStep } from "quell-client";
import { drop, known, link, listen, put } from "../live.js";
import { quell } from "../session.js";

const GATHER_MS = 60;

export interface Known {
  evaluation: Evaluation | undefined;
  /** Of the current attempt, with its steps. */
  cancellation: Cancellation | null;
  timeline: readonly TimelineStep[];
  error: unknown;
}

const NOTHING: Known = { evaluation: undefined, cancellation: null, timeline: [], error: null };

/** What changes is shown at once; its steps are read anew, a moment after the last change. */
export function useEvaluation(id: string): Known & { again: () => void } {
  const [seen, setSeen] = useState<Known>(() => ({ ...NOTHING, evaluation: known(id) }));
  const [turn, setTurn] = useState(0);
  const live = link.value.state === "live";
  useEffect(() => {
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => void read(id, end.signal, setSeen);
    const forget = listen(id, ({ evaluation }) => {
      if (evaluation) setSeen((before) => ({ ...before, evaluation }));
      clearTimeout(timer);
      timer = setTimeout(look, GATHER_MS);
    });
    look();
    return () => {
      forget();
      clearTimeout(timer);
      end.abort();
    };
  }, [id, turn, live]);
  return { ...seen, again: () => setTurn(turn + 1) };
}

async function read(
  id: string,
  signal: AbortSignal,
  setSeen: (change: (before: Known) => Known) => void,
): Promise<void> {
  try {
    const [evaluation, timeline] = await Promise.all([
      quell.get(id, { signal }),
      quell.timeline(id, { signal }),
    ]);
    put(evaluation);
    setSeen(() => ({ evaluation, timeline, cancellation: evaluation.cancellation, error: null }));
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof Refused && error.status === 404) drop(id);
    setSeen((before) => ({ ...before, error }));
  }
}
