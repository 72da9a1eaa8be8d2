/** Numbers made of the records of stops. Pure: records in, numbers out. */
import type { Cancellation, Evaluation, Mode } from "quell-client";
import type { Cause } from "../words.js";

/** Upper bounds in ms; the last bar has all that took longer. */
export const BOUNDS: readonly number[] = [10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000];

export interface Bar {
  below: number | null;
  count: number;
}

export function percentile(sorted: readonly number[], part: number): number | null {
  if (!sorted.length) return null;
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)]!;
}

export function latencies(records: readonly Cancellation[]): number[] {
  const known = records.map((record) => record.stop_ms).filter((ms) => ms !== null);
  return known.sort((a, b) => a - b);
}

/** From the quickest to the slowest that there was. */
export function histogram(sorted: readonly number[]): Bar[] {
  const bars: Bar[] = BOUNDS.map((below) => ({ below, count: 0 }));
  bars.push({ below: null, count: 0 });
  for (const ms of sorted) bars.find(({ below }) => below === null || ms <= below)!.count++;
  const filled = bars.map((bar) => bar.count > 0);
  return bars.slice(filled.indexOf(true), filled.lastIndexOf(true) + 1);
}

export interface Over {
  /** Seconds since 1970, the middle of each piece of time. */
  at: number[];
  half: (number | null)[];
  most: (number | null)[];
}

/** Percentiles for each of `pieces` equal pieces of the time from the first record on. */
export function overTime(records: readonly Cancellation[], to: number, pieces: number): Over {
  const first = Date.parse(records.at(-1)?.requested_at ?? "");
  const from = Math.min(first || to, to - pieces * 1000);
  const wide = (to - from) / pieces;
  const found: number[][] = Array.from({ length: pieces }, () => []);
  for (const record of records) {
    const piece = Math.floor((Date.parse(record.requested_at ?? "") - from) / wide);
    if (record.stop_ms !== null) found[Math.min(piece, pieces - 1)]?.push(record.stop_ms);
  }
  found.forEach((all) => all.sort((a, b) => a - b));
  return {
    at: found.map((_, index) => (from + (index + 0.5) * wide) / 1000),
    half: found.map((all) => percentile(all, 0.5)),
    most: found.map((all) => percentile(all, 0.95)),
  };
}

export type Outcome = NonNullable<Cancellation["outcome"]>;
export const OUTCOMES: readonly Outcome[] = [
  "removed",
  "discarded",
  "stopped",
  "terminated",
  "killed",
  "finished_first",
  "unconfirmed",
];

export function byModeAndOutcome(records: readonly Cancellation[]): Map<Mode, Map<Outcome, number>> {
  const table = new Map<Mode, Map<Outcome, number>>();
  for (const { mode, outcome } of records) {
    if (!outcome) continue;
    const row = table.get(mode) ?? new Map<Outcome, number>();
    row.set(outcome, (row.get(outcome) ?? 0) + 1);
    table.set(mode, row);
  }
  return table;
}

export function byCause(rows: readonly Evaluation[]): [Cause, number][] {
  const causes = new Map<Cause, number>();
  for (const row of rows)
    if (row.status === "failed") causes.set(row.cause ?? "exit", (causes.get(row.cause ?? "exit") ?? 0) + 1);
  return [...causes].sort((a, b) => b[1] - a[1]);
}

export interface Waste {
  /** ms that ran on after somebody asked it to stop. */
  after: number;
  /** ms of runs that came to nothing, as they were stopped. */
  thrown: number;
  /** ms of all that ran. */
  all: number;
}

export function waste(rows: readonly Evaluation[], records: readonly Cancellation[]): Waste {
  const total: Waste = { after: 0, thrown: 0, all: 0 };
  for (const record of records)
    if (record.stop_ms !== null && record.outcome !== "removed" && record.outcome !== "discarded")
      total.after += record.stop_ms;
  for (const row of rows) {
    if (!row.started_at || !row.finished_at) continue;
    const ran = Date.parse(row.finished_at) - Date.parse(row.started_at);
    total.all += ran;
    if (row.status === "cancelled" && !row.checkpoint) total.thrown += ran;
  }
  return total;
}

export interface Worker {
  name: string;
  running: number;
  cancelling: number;
  unconfirmed: number;
}

export function workers(rows: readonly Evaluation[]): Worker[] {
  const found = new Map<string, Worker>();
  for (const { worker: name, status } of rows) {
    if (!name || (status !== "running" && status !== "cancelling" && status !== "unconfirmed")) continue;
    const worker = found.get(name) ?? { name, running: 0, cancelling: 0, unconfirmed: 0 };
    worker[status]++;
    found.set(name, worker);
  }
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name));
}
