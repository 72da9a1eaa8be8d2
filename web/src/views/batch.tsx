/** One batch: what it would do, how far it is, what became of each, and the way back. */
import type { Batch, BatchItem, Status } from "quell-client";
import { useEffect, useState } from "preact/hooks";
import { count, now, plural, ticking } from "../format.js";
import { StatusBadge } from "../parts/status.js";
import { Table } from "../parts/table.js";
import { TroubleBox } from "../parts/trouble.js";
import { batchHref, evaluationHref, go, href } from "../router.js";
import { quell } from "../session.js";
import { tellTrouble } from "../toast.js";
import { MODE_NAME } from "../words.js";
import { Bars } from "./figures.js";

/** From this many on the number is typed, so that nobody stops them by a slip. */
const TYPED = 10;
const LISTED = 200;
const OFTEN_MS = 500;
const SELDOM_MS = 2000;

interface Seen {
  batch: Batch | null;
  items: readonly BatchItem[];
  error: unknown;
}

/** Read again and again while something of it may still change. */
function useBatch(id: string): Seen {
  const [seen, setSeen] = useState<Seen>({ batch: null, items: [], error: null });
  useEffect(() => {
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      const next = await read(id, end.signal).catch((error: unknown) => ({ batch: null, items: [], error }));
      if (end.signal.aborted) return;
      setSeen((before) => (next.error ? { ...before, error: next.error } : next));
      timer = setTimeout(() => void look(), next.batch?.phase === "running" ? OFTEN_MS : SELDOM_MS);
    };
    void look();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [id]);
  return seen;
}

async function read(id: string, signal: AbortSignal): Promise<Seen> {
  const batch = await quell.batch(id, { signal });
  const items: BatchItem[] = [];
  for await (const item of quell.batchItems(id, { limit: LISTED, signal })) items.push(item);
  return { batch, items, error: null };
}

export function BatchView({ id }: { id: string }) {
  const { batch, items, error } = useBatch(id);
  if (!batch)
    return (
      <div class="empty">
        {error ? <TroubleBox error={error} /> : <p>Reading the batch…</p>}
        <p>
          <a href={href("/batches")}>All batches</a>
        </p>
      </div>
    );
  return (
    <div class="access batch">
      <div class="evaluation-head">
        <a class="back" href={href("/batches")} aria-label="All batches">
          ←
        </a>
        <h1>{batch.selector ?? (batch.undoes ? "Undo of a batch" : plural(batch.total, "named evaluation"))}</h1>
        <span class="muted">{batch.mode === "restore" ? "Undo" : MODE_NAME[batch.mode]}</span>
      </div>
      {batch.phase === "preview" ? <Confirm batch={batch} /> : <Progress batch={batch} items={items} />}
      <Items items={items} batch={batch} />
    </div>
  );
}

function would(batch: Batch): string {
  const { removed, noticed, terminated, killed, nothing, not_found: missing } = batch.would;
  const parts = [
    removed && `remove ${count(removed)}`,
    noticed && `ask ${count(noticed)}`,
    terminated && `send SIGTERM to ${count(terminated)}`,
    killed && `kill ${count(killed)}`,
  ].filter(Boolean);
  const idle = nothing + missing;
  const rest = idle ? ` Nothing is to do for ${count(idle)}.` : "";
  return parts.length ? `It would ${parts.join(", ")}.${rest}` : `It would do nothing.${rest}`;
}

function Confirm({ batch }: { batch: Batch }) {
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const { nothing, not_found: missing } = batch.would;
  const acts = batch.total - nothing - missing;
  const sure = acts < TYPED || typed === String(acts);
  const start = async () => {
    setBusy(true);
    try {
      go(batchHref((await quell.startBatch({ preview: batch.batch_id })).batch_id));
    } catch (error) {
      tellTrouble(error);
      setBusy(false);
    }
  };
  const left = batch.expires_at ? Date.parse(batch.expires_at) - now.value : 0;
  return (
    <section class="panel" aria-label="Preview">
      <h2>{would(batch)}</h2>
      <p class="muted">Nothing was done yet. The set is as it was when you looked, for {ticking(Math.max(0, left))} more.</p>
      <form
        class="new-key"
        onSubmit={(event) => {
          event.preventDefault();
          void start();
        }}
      >
        {acts >= TYPED && (
          <label>
            Type {acts} to confirm
            <input inputMode="numeric" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
          </label>
        )}
        {acts > 0 ? (
          <button class={batch.mode === "kill" ? "danger" : "primary"} disabled={busy || !sure}>
            Stop {count(acts)}
          </button>
        ) : (
          <a href={href("/batches", new URLSearchParams(batch.selector ? { selector: batch.selector } : {}))}>
            {batch.selector ? "Change the selector" : "All batches"}
          </a>
        )}
      </form>
    </section>
  );
}

type Answer = Exclude<BatchItem["said"], "unasked">;

const ANSWERS: Record<Answer, string> = {
  removed: "out of the queue",
  stopping: "being stopped",
  joined: "joined a stop",
  already_cancelled: "cancelled before",
  finished_first: "finished first",
  restored: "queued again",
  had_begun: "had begun to run",
  not_kept: "can't be put back",
  not_found: "not found",
  refused: "refused",
};

function headline({ mode, phase, progress }: Batch): string {
  if (!progress.total) return "Nothing matched: nobody was asked";
  const of = `${count(progress.asked)} of ${count(progress.total)}`;
  const what = mode === "restore" ? "to go back into the queue" : "to stop";
  if (phase === "running") return `${of} were asked ${what}`;
  return phase === "stopped" ? `It was ended after ${of}` : `All ${count(progress.total)} were asked ${what}`;
}

/** Out of the queue by now: beside a broker the answer comes before that is known. */
function isRemoved({ said, outcome }: BatchItem): boolean {
  return said === "removed" || (said === "stopping" && outcome === "removed");
}

/** What the undo would queue again; of a large batch not all is listed here. */
function undoing({ total, progress }: Batch, items: readonly BatchItem[]): string | null {
  const listed = items.filter(isRemoved).length;
  if (!listed && !progress.removed) return null;
  return items.length < total && progress.stopping ? "what never ran" : count(Math.max(listed, progress.removed));
}

function Progress({ batch, items }: { batch: Batch; items: readonly BatchItem[] }) {
  const [busy, setBusy] = useState(false);
  const { total, asked } = batch.progress;
  const said = (Object.keys(ANSWERS) as Answer[]).filter((answer) => batch.progress[answer]);
  const rows = said.map((answer): [string, number] => [ANSWERS[answer], batch.progress[answer]]);
  const act = async (verb: "cancelBatch" | "undoBatch") => {
    setBusy(true);
    try {
      const made = await quell[verb](batch.batch_id);
      if (verb === "undoBatch") go(batchHref(made.batch_id));
    } catch (error) {
      tellTrouble(error);
    }
    setBusy(false);
  };
  const back = batch.phase === "running" || batch.undone_by || batch.undoes ? null : undoing(batch, items);
  return (
    <section class="panel" aria-label="Progress">
      <h2>
        <span role="status">{headline(batch)}</span>
      </h2>
      {total > 0 && <progress max={total} value={asked} aria-label="Evaluations that were asked for" />}
      {total > 0 && <Bars rows={rows} none="Nothing was said yet." />}
      <div class="new-key">
        {batch.phase === "running" && (
          <button class="quiet" disabled={busy} onClick={() => void act("cancelBatch")}>
            Ask for no more
          </button>
        )}
        {back && (
          <button class="primary" disabled={busy} onClick={() => void act("undoBatch")}>
            Undo: queue {back} again
          </button>
        )}
        {batch.undone_by && <a href={batchHref(batch.undone_by)}>It was undone</a>}
        {batch.undoes && <a href={batchHref(batch.undoes)}>What it undoes</a>}
      </div>
    </section>
  );
}

function Items({ items, batch: { total, phase } }: { items: readonly BatchItem[]; batch: Batch }) {
  if (!items.length) return null;
  const asked = phase !== "preview";
  return (
    <section class="panel">
      <h2>{items.length < total ? `The first ${count(items.length)} of ${count(total)}` : plural(total, "evaluation")}</h2>
      <Table label="What became of each" head={["Evaluation", "Now", ...(asked ? ["Answer", "Outcome"] : [])]}>
        {items.map((item) => (
          <tr key={item.eval_id}>
            <th scope="row">
              <a href={evaluationHref(item.eval_id)}>{item.eval_id}</a>
            </th>
            <td>{item.status && <StatusBadge status={item.status as Status} />}</td>
            {asked && <td>{item.said === "unasked" ? "not asked yet" : ANSWERS[item.said]}</td>}
            {asked && <td>{item.outcome?.replaceAll("_", " ")}</td>}
          </tr>
        ))}
      </Table>
    </section>
  );
}
