/** Whom a policy would have stopped, and why each of them. Nothing is stopped by looking. */
import type { Simulation } from "quell-client";
import { useState } from "preact/hooks";
import { count, dateTime, plural } from "../format.js";
import { evaluationHref } from "../router.js";
import { Table } from "../parts/table.js";
import { SINCE, type Since } from "../triggers.js";

interface SimulateProps {
  busy: boolean;
  /** Whose it is, for those who hear the button alone. */
  of: string;
  onSince: (since: Since) => void;
}

export function Simulate({ busy, of, onSince }: SimulateProps) {
  const [since, setSince] = useState<Since>("7d");
  return (
    <span class="simulate">
      <button type="button" class="quiet" disabled={busy} onClick={() => onSince(since)}>
        Simulate<span class="visually-hidden"> {of}</span>
      </button>
      <select aria-label={`Simulate ${of} over`} value={since} onChange={(event) => setSince(event.currentTarget.value as Since)}>
        {SINCE.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </span>
  );
}

function headline({ would_stop: stops, looked_at: looked, since }: Simulation): string {
  if (!looked) return "There is none that it may stop";
  const verb = since ? "would have stopped" : "would stop";
  return stops ? `It ${verb} ${count(stops)} of ${plural(looked, "evaluation")}` : `It ${verb} none of ${plural(looked, "evaluation")}`;
}

export function Simulated({ found }: { found: Simulation }) {
  const { sample, would_stop: stops, since, live, whole, note } = found;
  return (
    <div class="simulated" role="status">
      <h3>{headline(found)}</h3>
      <p class="muted">
        {since ? `Since ${dateTime(since)}` : "As of now"}; {count(live)} live at this moment. Nothing was stopped by this look.
        {!whole && " There were more than it looks at: the newest were looked at."} {note}
      </p>
      {sample.length > 0 && (
        <Table label="Whom it would have stopped" head={["Evaluation", "When", "Why"]}>
          {sample.map(({ eval_id: id, at, why }) => (
            <tr key={`${id} ${at}`}>
              <th scope="row">
                <a href={evaluationHref(id)}>{id}</a>
              </th>
              <td>{dateTime(at)}</td>
              <td class="why">{why}</td>
            </tr>
          ))}
        </Table>
      )}
      {stops > sample.length && <p class="hint">The newest {sample.length} are listed.</p>}
    </div>
  );
}
