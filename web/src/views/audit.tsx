/** Who tried what, newest first: what was refused stands there too. */
import type { AuditRow } from "quell-client";
import { useEffect, useState } from "preact/hooks";
import { dateTime } from "../format.js";
import { TroubleBox } from "../parts/trouble.js";
import { batchHref, evaluationHref } from "../router.js";
import { quell } from "../session.js";
import { Whole } from "./whole.js";

const PAGE = 100;
const VERBS = [
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
        <label>
          What{" "}
          <select value={verb} onChange={(event) => setVerb(event.currentTarget.value)}>
            <option value="">anything</option>
            {VERBS.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label>
          Since{" "}
          <select value={hours} onChange={(event) => setHours(Number(event.currentTarget.value))}>
            {SPANS.map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
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
    <div class="scroll" tabIndex={0} role="region" aria-label="What was tried">
      <table>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            <th scope="col">Of</th>
            <th scope="col">Came to</th>
            <th scope="col">Reason</th>
          </tr>
        </thead>
        <tbody>
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
        </tbody>
      </table>
    </div>
  );
}

function Target({ verb, target }: { verb: string; target: string }) {
  if (/^(key|policy|session|orphan)/.test(verb)) return <>{target}</>;
  return <a href={verb.startsWith("batch") ? batchHref(target) : evaluationHref(target)}>{target}</a>;
}
