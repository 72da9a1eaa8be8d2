/**
 * How many there are of each status, as the server counts them: the page may hold fewer. Each change that comes
 * is added at once, and the server asked again once there was one: what was not held has no status before.
 */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Evaluation, Status } from "quell-client";
import { type Filter, matchesWords, selectorOf } from "./filter.js";
import { link, listenToAll } from "./live.js";
import { quell } from "./session.js";
import { STATUSES } from "./words.js";

export type Counts = Readonly<Record<Status, number>>;

const PAUSE_MS = 1000;
/** A count of millions takes the server a while: it is left alone for many times as long. */
const REST = 20;

const counted = signal<{ selector: string; counts: Counts } | null>(null);

/** Whatever their status; of free text the server knows nothing, so then what is held is counted. */
export function useCounts(filter: Filter, held: readonly Evaluation[]): Counts {
  const words: Filter = { ...filter, statuses: new Set() };
  const selector = selectorOf(words);
  const live = link.value.state === "live";
  useEffect(() => (selector === null || !live ? undefined : follow(selector, words)), [selector, live]);
  const known = counted.value;
  return known && known.selector === selector ? known.counts : countHeld(held);
}

export function total(counts: Counts): number {
  return STATUSES.reduce((sum, status) => sum + counts[status], 0);
}

function countHeld(held: readonly Evaluation[]): Counts {
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as Record<Status, number>;
  for (const row of held) counts[row.status]++;
  return counts;
}

function follow(selector: string, words: Filter): () => void {
  const end = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stale = false;
  let rest = PAUSE_MS;
  const ask = async () => {
    const began = performance.now();
    stale = false;
    try {
      const { statuses } = await quell.count({ selector: selector || undefined, signal: end.signal });
      counted.value = { selector, counts: statuses };
    } catch {
      stale = !end.signal.aborted; // the stream of events says what the trouble is
    }
    rest = Math.max(PAUSE_MS, REST * (performance.now() - began));
    timer = undefined;
    if (stale) later();
  };
  const later = () => {
    stale = true;
    if (!end.signal.aborted) timer ??= setTimeout(() => void ask(), rest);
  };
  const forget = listenToAll((before, after) => {
    const known = counted.peek();
    later();
    if (known?.selector === selector) counted.value = { selector, counts: moved(known.counts, words, before, after) };
  });
  timer = setTimeout(() => void ask());
  return () => {
    forget();
    end.abort();
    clearTimeout(timer);
  };
}

function moved(counts: Counts, words: Filter, before: Evaluation | undefined, after: Evaluation): Counts {
  const next = { ...counts };
  const fresh = !before && after.status === "queued" && after.attempt === 1;
  const known = before !== undefined && matchesWords(words, before);
  if (known && next[before.status] > 0) next[before.status]--;
  if ((fresh || known) && matchesWords(words, after)) next[after.status]++;
  return next;
}
