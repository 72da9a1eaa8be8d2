/**
 * What the page knows of all evaluations: the newest of them by pages, then each change as it comes.
 *
 * A page and a change may cross on their way. Whatever came as a change after a page was asked for is
 * newer than what stands in that page, or is followed by a change that is: it wins.
 */
import { batch, signal } from "@preact/signals";
import { type Cancellation, type Evaluation, type EventsOptions, type QuellEvent, Refused } from "quell-client";
import { SCREEN, takeAhead } from "./first.js";
import { access, findRights, keyOfTab, quell, refuse } from "./session.js";
import { LIVE } from "./words.js";

/** The most that is held; who has more finds the rest by filters on the command line. */
export const MOST = 20_000;
const DRAWN_MS = 500;
const FIRST = 200;
const PAGE = 1000;
/** The most that is read for one filter, where not everything is held. */
const FOUND = 5000;

export type Link =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "away"; retryAt: number; since: number };

export const link = signal<Link>({ state: "connecting" });
/** Newest first. A new array for each change, so that what is made of it can be kept. */
export const rows = signal<readonly Evaluation[]>([]);
/** Whether everything that there is, is held. */
export const complete = signal(false);
/** Whether the first page has come. */
export const loaded = signal(false);

type Watcher = (before: Evaluation | undefined, after: Evaluation) => void;
type Listener = (change: { evaluation?: Evaluation; cancellation?: Cancellation }) => void;

const held = new Map<string, Evaluation>();
const touched = new Map<string, number>();
const watchers = new Set<Watcher>();
const listeners = new Map<string, Set<Listener>>();
let arrivals = 0;
let waiting = false;
let stop: AbortController | undefined;

/** Told of each change of that evaluation, until the function that it returns is called. */
export function listen(id: string, listener: Listener): () => void {
  const all = listeners.get(id) ?? new Set();
  listeners.set(id, all.add(listener));
  return () => {
    all.delete(listener);
    if (!all.size) listeners.delete(id);
  };
}

/** Told of each change of any, with what was known before, until the function that it returns is called. */
export function listenToAll(watcher: Watcher): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function known(id: string): Evaluation | undefined {
  return held.get(id);
}

/** An evaluation that came as the answer to something. */
export function put(evaluation: Evaluation): void {
  const before = held.get(evaluation.eval_id);
  held.set(evaluation.eval_id, evaluation);
  touched.set(evaluation.eval_id, ++arrivals);
  watchers.forEach((watcher) => watcher(before, evaluation));
  publishSoon();
}

/** It is gone: deleted, or not ours. */
export function drop(id: string): void {
  if (held.delete(id)) publishSoon();
}

/** Begins anew, as whom the session is now. What it returns ends once a screen can be filled, or can't. */
export function connect(): Promise<void> {
  stop?.abort();
  stop = new AbortController();
  held.clear();
  touched.clear();
  rows.value = [];
  loaded.value = complete.value = false;
  link.value = { state: "connecting" };
  const glanced = glance(stop.signal);
  void watch(stop.signal, glanced.then(drawn));
  return glanced;
}

/** What a screen shows, asked for while the stream of events opens; all is read once that was drawn. */
async function glance(signal: AbortSignal): Promise<void> {
  const began = arrivals;
  try {
    const page = (await takeAhead(keyOfTab())) ?? (await quell.listPage({ limit: SCREEN, signal })).rows;
    if (signal.aborted) return;
    hold(page, began);
    batch(() => {
      publish();
      loaded.value = true;
    });
  } catch {
    // The stream of events sees the same trouble, and says so.
  }
}

/** After the frames in which what is there now comes to the screen; nobody waits for those of a hidden page. */
function drawn(): Promise<unknown> {
  const frames = new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const enough = new Promise((resolve) => setTimeout(resolve, DRAWN_MS));
  return Promise.race([frames, enough]);
}

/** What a selector finds beyond what is held. */
export async function find(selector: string, signal: AbortSignal): Promise<void> {
  const began = arrivals;
  try {
    for await (const row of quell.list({ selector, limit: FOUND, signal })) takePage([row], began, new Set());
  } catch {
    // As above.
  }
}

/** What happens. Where the browser says that it has no network, the connection is doubted, and another one begun. */
async function* changes(signal: AbortSignal, onState: EventsOptions["onState"], onDoubt: () => void): AsyncGenerator<QuellEvent> {
  while (!signal.aborted) {
    const doubted = new AbortController();
    const doubt = () => doubted.abort();
    signal.addEventListener("abort", doubt);
    addEventListener("offline", doubt);
    try {
      yield* quell.events({ signal: doubted.signal, onState });
    } catch (error) {
      if (!doubted.signal.aborted) throw error;
      onDoubt();
    } finally {
      signal.removeEventListener("abort", doubt);
      removeEventListener("offline", doubt);
    }
  }
}

async function watch(signal: AbortSignal, shown: Promise<unknown>): Promise<void> {
  let begun = false;
  const onState = (state: "open" | "away", retryMs: number) => {
    if (signal.aborted) return;
    if (state === "away") link.value = awayFor(retryMs);
    else link.value = { state: "live" };
    if (state === "open" && access.peek() !== "granted") {
      access.value = "granted";
      void shown.then(findRights);
    }
    if (state === "open" && !begun) {
      begun = true;
      void shown.then(() => load(signal));
    }
  };
  try {
    for await (const event of changes(signal, onState, () => (begun = false))) take(event, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof Refused && error.status === 401) refuse();
    else link.value = awayFor(5000), setTimeout(() => signal.aborted || connect(), 5000);
  }
}

function awayFor(retryMs: number): Link {
  const before = link.peek();
  const since = before.state === "away" ? before.since : Date.now();
  return { state: "away", retryAt: Date.now() + retryMs, since };
}

function take(event: QuellEvent, signal: AbortSignal): void {
  if (event.type === "reset") void load(signal);
  if (event.type === "evaluation") {
    const { evaluation } = event;
    put(evaluation);
    listeners.get(evaluation.eval_id)?.forEach((listener) => listener({ evaluation }));
  }
  if (event.type === "cancellation") {
    const { cancellation } = event;
    listeners.get(cancellation.eval_id)?.forEach((listener) => listener({ cancellation }));
  }
}

/** Reads the lists: first what a screen shows, then all that still lives, then the rest. */
async function load(signal: AbortSignal): Promise<void> {
  const began = arrivals;
  const seen = new Set<string>();
  try {
    const first = await quell.listPage({ limit: FIRST, signal });
    takePage(first.rows, began, seen);
    loaded.value = true;
    let cursor = first.cursor;
    for await (const row of quell.list({ status: LIVE, limit: MOST, signal })) takePage([row], began, seen);
    while (cursor && seen.size < MOST) {
      const page = await quell.listPage({ limit: PAGE, signal }, cursor);
      takePage(page.rows, began, seen);
      cursor = page.cursor;
    }
    forget(seen, began);
    complete.value = !cursor;
  } catch {
    // The stream of events sees the same trouble, says so, and begins again.
    if (!signal.aborted) setTimeout(() => signal.aborted || void load(signal), 2000);
  }
}

function takePage(page: readonly Evaluation[], began: number, seen: Set<string>): void {
  for (const { eval_id: id } of page) seen.add(id);
  hold(page, began);
  publishSoon();
}

function hold(page: readonly Evaluation[], began: number): void {
  for (const row of page) if ((touched.get(row.eval_id) ?? 0) <= began) held.set(row.eval_id, row);
}

/** What no page had any more, and no change brought meanwhile, was deleted while nobody looked. */
function forget(seen: ReadonlySet<string>, began: number): void {
  for (const id of held.keys())
    if (!seen.has(id) && (touched.get(id) ?? 0) <= began) held.delete(id);
  publishSoon();
}

/** Many changes make one new list: at most one for each frame that is drawn. */
function publishSoon(): void {
  if (waiting) return;
  waiting = true;
  if (document.hidden) setTimeout(publish, 200);
  else requestAnimationFrame(publish);
}

function publish(): void {
  waiting = false;
  rows.value = [...held.values()].sort(newestFirst);
}

function newestFirst(a: Evaluation, b: Evaluation): number {
  if (a.created_at !== b.created_at) return a.created_at < b.created_at ? 1 : -1;
  return a.eval_id < b.eval_id ? 1 : -1;
}
