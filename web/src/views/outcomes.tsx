/** What became of each kind of stop: one bar a mode, cut by outcome. */
import type { Cancellation } from "quell-client";
import { count } from "../format.js";
import { MODE_NAME, OUTCOME_MEANS } from "../words.js";
import { byModeAndOutcome, OUTCOMES } from "./stats.js";

export function Outcomes({ records }: { records: readonly Cancellation[] }) {
  const table = [...byModeAndOutcome(records)];
  if (!table.length) return <p class="hint">No stop came to its end in this time.</p>;
  return (
    <div class="outcomes">
      {table.map(([mode, outcomes]) => {
        const total = [...outcomes.values()].reduce((sum, number) => sum + number, 0);
        return (
          <div key={mode}>
            <h3>
              {MODE_NAME[mode]} <b>{count(total)}</b>
            </h3>
            <div class="stack" aria-hidden="true">
              {OUTCOMES.map((outcome) => (
                <i key={outcome} class={`o-${outcome}`} style={{ flexGrow: outcomes.get(outcome) ?? 0 }} />
              ))}
            </div>
            <ul>
              {OUTCOMES.filter((outcome) => outcomes.get(outcome)).map((outcome) => (
                <li key={outcome} title={OUTCOME_MEANS[outcome]}>
                  <i class={`o-${outcome}`} aria-hidden="true" />
                  {outcome.replace("_", " ")} <b>{count(outcomes.get(outcome)!)}</b>
                </li>
              ))}
            </ul>
          </div>
        );
      })}
    </div>
  );
}
