/** Each decision about it, newest last, as the server tells it: `why -> what`. */
import type { Evaluation, TimelineStep } from "quell-client";
import { clock } from "../format.js";
import { Glyph } from "../parts/status.js";
import { Copy } from "../parts/copy.js";

export function Timeline({ steps, evaluation }: { steps: readonly TimelineStep[]; evaluation: Evaluation }) {
  const attempts = evaluation.attempt > 1;
  return (
    <section class="timeline">
      <h2>
        Timeline
        <Copy small label="Copy as JSON" text={() => JSON.stringify({ steps }, null, 2)} />
      </h2>
      <ol>
        {steps.map((step, index) => {
          const [why, what] = step.what.split(/ -> (.*)/s, 2);
          const other = attempts && step.attempt !== steps[index - 1]?.attempt;
          return (
            <li key={index} class={`s-${step.status}`}>
              {other && <h3>Attempt {step.attempt}</h3>}
              <Glyph status={step.status} />
              <time dateTime={step.at} title={step.at}>
                {clock(step.at)}
              </time>
              <span class="what">{what ?? why}</span>
              {what && <span class="why">{why}</span>}
            </li>
          );
        })}
      </ol>
    </section>
  );
}
