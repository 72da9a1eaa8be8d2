/** Who tried what, newest first: what was refused stands there too. */
import type { AuditRow } from "quell-client";
import { useEffect, useState } from "preact/hooks";
import { dateTime } from "../format.js";
import { Pick } from "../parts/pick.js";
import { Table } from "../parts/table.js";
import { TroubleBox } from "../parts/trouble.js";
import { batchHref, evaluationHref } from "../router.js";
import { quell } from "../session.js";
import { Whole } from "./whole.js";

const PAGE = 100;
const NAMES = [
  "submit",
  "cancel",
  "terminate",
  "kill",
  "restore",
  "resume",
  "delete",
  "batch-preview",
  "batch-cancel",
  "batch-terminate",
  "batch-kill",
  "batch-stop",
  "batch-undo",
  "policy-create",
  "policy-enable",
  "policy-disable",
  "policy-delete",
  "session-end",
  "key-create",
  "key-revoke",
  "orphan-reap",
  "report",
];
const VERBS: readonly [string, string][] = [["", "anything"], ...NAMES.map((name): [string, string] => [name, name])];
const SPANS: readonly [number, string][] = [
  [0, "ever"],
  [1, "the last hour"],
  [24, "the last day"],
  [168, "the last week"],
];

export function Audit({ turn }: { turn: number }) {
  const [rows, setRows] = useState<readonly AuditRow[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const [actor, setActor] = useState("");
  const [verb, setVerb] = useState("");
  const [hours, setHours] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const read = async (from: string | null, signal?: AbortSignal) => {
    try {
      const who = actor && !actor.includes(":") ? `user:${actor}` : actor;
      const since = hours ? new Date(Date.now() - hours * 3_600_000) : undefined;
      const asked = { actor: who || undefined, verb: verb || undefined, since, order: "newest" as const, limit: PAGE, signal };
      const page = await quell.auditPage(asked, from);
      setRows((before) => (from ? [...before, ...page.rows] : page.rows));
      setCursor(page.cursor);
      setError(null);
    } catch (refusal) {
      if (!signal?.aborted) setError(refusal);
    }
  };
  useEffect(() => {
    const end = new AbortController();
    void read(null, end.signal);
    return () => end.abort();
  }, [actor, verb, hours, turn]);
  return (
    <section class="panel">
      <div class="audit-head">
        <h2>Audit</h2>
        <label>
          Who <input value={actor} placeholder="anybody" onInput={(event) => setActor(event.currentTarget.value.trim())} />
        </label>
        <Pick label="What" value={verb} options={VERBS} onPick={setVerb} />
        <Pick label="Since" value={hours} options={SPANS} onPick={setHours} />
      </div>
      <Whole />
      {error !== null && <TroubleBox error={error} />}
      {rows.length ? <Rows rows={rows} /> : <p class="hint">Nobody tried that.</p>}
      {cursor && (
        <button class="quiet" onClick={() => void read(cursor)}>
          Older ones
        </button>
      )}
    </section>
  );
}

function Rows({ rows }: { rows: readonly AuditRow[] }) {
  return (
    <Table label="What was tried" head={["When", "Who", "What", "Of", "Came to", "Reason"]}>
      {rows.map(({ seq, at, row }) => (
        <tr key={seq}>
          <td>{dateTime(at)}</td>
          <td title={row.remote ?? undefined}>{row.actor ?? "nobody known"}</td>
          <td>{row.verb}</td>
          <td>{row.target && <Target verb={row.verb} target={row.target} />}</td>
          <td class={row.status < 400 ? "" : "refused"}>
            {row.outcome} {row.status >= 400 && row.status}
            {row.count !== undefined && row.count > 1 && ` ×${row.count}`}
          </td>
          <td>{row.reason}</td>
        </tr>
      ))}
    </Table>
  );
}

function Target({ verb, target }: { verb: string; target: string }) {
  if (/^(key|policy|session|orphan)/.test(verb)) return <>{target}</>;
  return <a href={verb.startsWith("batch") ? batchHref(target) : evaluationHref(target)}>{target}</a>;
}
