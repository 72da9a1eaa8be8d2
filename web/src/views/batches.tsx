/** Many at once: by a selector, with a look before the leap; and what was stopped so before. */
import type { Batch, Mode } from "quell-client";
import { useEffect, useState } from "preact/hooks";
import { ago, count, dateTime, now } from "../format.js";
import { Table } from "../parts/table.js";
import { TroubleBox } from "../parts/trouble.js";
import { batchHref, go, place } from "../router.js";
import { quell } from "../session.js";
import { MODE_NAME } from "../words.js";
import { ModeSelect } from "./modeselect.js";

const SHOWN = 50;

export function BatchesView() {
  const [selector, setSelector] = useState(place.peek().words.get("selector") ?? "status in (queued,running)");
  const [mode, setMode] = useState<Mode>("cancel");
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const preview = async () => {
    setBusy(true);
    setError(null);
    try {
      const made = await quell.previewBatch({ selector, mode, ...(reason && { reason }) });
      go(batchHref(made.batch_id));
    } catch (refusal) {
      setError(refusal);
      setBusy(false);
    }
  };
  return (
    <div class="access">
      <h1>Batches</h1>
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void preview();
        }}
      >
        <h2>Stop all that match</h2>
        <label for="selector">Selector</label>
        <input
          id="selector"
          class="selector"
          value={selector}
          spellcheck={false}
          autocapitalize="off"
          aria-describedby="selector-hint"
          onInput={(event) => setSelector(event.currentTarget.value)}
        />
        <p id="selector-hint" class="hint">
          Terms that must all hold, as <code>owner=alice,status in (queued,running),age&gt;10m,label.team=ml</code>
        </p>
        <div class="new-key">
          <ModeSelect mode={mode} onMode={setMode} />
          <input class="reason" aria-label="Reason" placeholder="Reason, kept with each" value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
          <button class="primary" disabled={busy || !selector.trim()}>
            See what that would do
          </button>
        </div>
        {error !== null && <TroubleBox error={error} />}
      </form>
      <Before />
    </div>
  );
}

function Before() {
  const [batches, setBatches] = useState<readonly Batch[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const end = new AbortController();
    const read = async () => {
      const found: Batch[] = [];
      for await (const batch of quell.batches({ limit: SHOWN, signal: end.signal })) found.push(batch);
      setBatches(found);
    };
    read().catch((refusal: unknown) => end.signal.aborted || setError(refusal));
    return () => end.abort();
  }, []);
  if (error !== null) return <TroubleBox error={error} />;
  if (!batches) return null;
  return (
    <section class="panel">
      <h2>Before</h2>
      {batches.length ? <BatchTable batches={batches} /> : <p class="hint">No batch was made yet.</p>}
    </section>
  );
}

function BatchTable({ batches }: { batches: readonly Batch[] }) {
  return (
    <Table label="Batches so far" head={["When", "Which", "How", "Evaluations", "State", "Who"]}>
      {batches.map((batch) => (
        <tr key={batch.batch_id}>
          <td title={dateTime(batch.created_at)}>{ago(batch.created_at, now.value)}</td>
          <th scope="row">
            <a href={batchHref(batch.batch_id)}>{batch.selector ?? (batch.undoes ? "an undo" : "named ones")}</a>
          </th>
          <td>{batch.mode === "restore" ? "Undo" : MODE_NAME[batch.mode]}</td>
          <td>{count(batch.total)}</td>
          <td>{batch.phase}</td>
          <td>{batch.actor.replace(/^user:/, "")}</td>
        </tr>
      ))}
    </Table>
  );
}
