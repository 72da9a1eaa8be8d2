/** What is known of a stop that is over: how sure it is, and what was seen, step by step. */
import type { Cancellation, Evaluation } from "quell-client";
import { span } from "../format.js";
import { Copy } from "../parts/copy.js";
import { quell } from "../session.js";
import { tellTrouble } from "../toast.js";
import { EVIDENCE, evidenceMeans, MODE_NAME, OUTCOME_MEANS, RUNG_NAME, UNASKED_MEANS } from "../words.js";
import { Choice } from "./choice.js";
import { Undo } from "./decision.js";
import { save } from "./save.js";

interface Props {
  evaluation: Evaluation;
  cancellation: Cancellation;
}

function headline(cancellation: Cancellation): string {
  if (cancellation.outcome === "finished_first") return "It finished first";
  if (cancellation.outcome === "unconfirmed") return "Unconfirmed: something may still run";
  return cancellation.evidence === "verified" ? "Stopped, and proven" : "Stopped";
}

export function Proof({ evaluation, cancellation }: Props) {
  const { outcome, stop_ms: took, reason, actor } = cancellation;
  const kind = outcome === "unconfirmed" ? "bad" : outcome === "finished_first" ? "first" : "good";
  return (
    <section class={`decision proof ${kind}`} aria-label="Proof">
      <div class="proof-head">
        <h2>{headline(cancellation)}</h2>
        {took !== null && (
          <span class="took" title="from the request to the effective stop">
            {took ? `in ${span(took)}` : "at once"}
          </span>
        )}
        <Receipt cancellation={cancellation} />
        <Copy label="Copy as JSON" text={() => JSON.stringify(cancellation, null, 2)} />
        {outcome === "removed" && <Undo id={evaluation.eval_id} />}
      </div>
      <p>
        {outcome && OUTCOME_MEANS[outcome]}.{" "}
        <span class="muted">
          {MODE_NAME[cancellation.mode]}
          {actor && `, asked by ${actor.replace(/^user:/, "")}`}
          {reason && `: “${reason}”`}
        </span>
      </p>
      <EvidenceLevel cancellation={cancellation} />
      <Steps cancellation={cancellation} />
      {cancellation.unasked.length > 0 && (
        <p class="unasked">Nobody here could ask {cancellation.unasked.map((check) => UNASKED_MEANS[check]).join("; ")}.</p>
      )}
      {outcome === "unconfirmed" && <Choice evaluation={evaluation} onClose={() => undefined} />}
    </section>
  );
}

/** What was taken up by a record is signed by the server once it is settled. */
function Receipt({ cancellation }: { cancellation: Cancellation }) {
  const { cancellation_id: id, settled_at: settled } = cancellation;
  if (!id || !settled) return null;
  const download = async () => {
    try {
      save(`${id}.receipt.json`, JSON.stringify(await quell.receipt(id), null, 2), "application/json");
    } catch (error) {
      tellTrouble(error);
    }
  };
  return (
    <button class="quiet" title="Signed by the server; `quell receipt verify` checks it" onClick={() => void download()}>
      Receipt
    </button>
  );
}

function EvidenceLevel({ cancellation }: { cancellation: Cancellation }) {
  const reached = cancellation.evidence ? EVIDENCE.indexOf(cancellation.evidence) : -1;
  return (
    <ol class="evidence" aria-label={`Evidence: ${cancellation.evidence ?? "none"}`}>
      {EVIDENCE.map((level, index) => (
        <li key={level} class={index <= reached ? "reached" : ""}>
          <b>{level}</b>
          <span>{evidenceMeans(level, cancellation.outcome)}</span>
        </li>
      ))}
    </ol>
  );
}

function Steps({ cancellation }: { cancellation: Cancellation }) {
  if (!cancellation.steps.length) return null;
  const began = Date.parse(cancellation.requested_at ?? cancellation.steps[0]!.at);
  return (
    <ol class="steps" tabIndex={0} aria-label="What was done and seen">
      {cancellation.steps.map((step, index) => (
        <li key={index}>
          <time dateTime={step.at} title={step.at}>
            +{span(Date.parse(step.at) - began)}
          </time>
          <span class="rung" title={RUNG_NAME[step.rung]}>
            {step.rung}
          </span>
          <span>{step.what.replace(" -> ", " → ")}</span>
        </li>
      ))}
    </ol>
  );
}
