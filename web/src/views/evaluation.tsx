/** One evaluation: what it says, what it is, and whether it still runs. */
import { type Evaluation, hasEnded, Unreachable } from "quell-client";
import { useState } from "preact/hooks";
import { keepDraft } from "../drafts.js";
import { StatusBadge } from "../parts/status.js";
import { TroubleBox } from "../parts/trouble.js";
import { go, href } from "../router.js";
import { quell } from "../session.js";
import { resume } from "../stops.js";
import { tell, tellTrouble } from "../toast.js";
import { CAUSE_MEANS } from "../words.js";
import { useEvaluation } from "./data.js";
import { Decision } from "./decision.js";
import { Facts } from "./facts.js";
import { Output } from "./output.js";
import { Timeline } from "./timeline.js";

export function EvaluationView({ id }: { id: string }) {
  const { evaluation, cancellation, timeline, error, again } = useEvaluation(id);
  if (!evaluation)
    return error ? (
      <div class="empty">
        <h1>{id}</h1>
        <TroubleBox error={error} retry={again} />
        <p>
          <a href={href("/")}>Back to all evaluations</a>
        </p>
      </div>
    ) : (
      <p class="reading">Reading {id}…</p>
    );
  return (
    <div class="evaluation">
      <Head evaluation={evaluation} />
      {error !== null && !(error instanceof Unreachable) && <TroubleBox error={error} retry={again} />}
      <div class="evaluation-main">
        <Decision evaluation={evaluation} cancellation={cancellation} />
        <Output evaluation={evaluation} />
      </div>
      <aside aria-label="About this evaluation">
        <Facts evaluation={evaluation} />
        <Timeline steps={timeline} evaluation={evaluation} />
      </aside>
    </div>
  );
}

function Head({ evaluation }: { evaluation: Evaluation }) {
  const { eval_id: id, status, cause, error } = evaluation;
  return (
    <div class="evaluation-head">
      <a class="back" href={href("/")} aria-label="All evaluations">
        ←
      </a>
      <h1>{id}</h1>
      <StatusBadge status={status} />
      {cause && cause !== "user" && <span class="cause">{CAUSE_MEANS[cause]}</span>}
      <Again evaluation={evaluation} />
      {error && status !== "cancelled" && <p class="evaluation-error">{error}</p>}
    </div>
  );
}

/** A task of the broker that another producer sent: what it runs stands with its worker. */
const ELSEWHERE = "task:";

function Again({ evaluation }: { evaluation: Evaluation }) {
  const { eval_id: id, status, started_at: started, checkpoint } = evaluation;
  const [busy, setBusy] = useState(false);
  const edit = async () => {
    setBusy(true);
    try {
      const { submission, env_withheld: withheld } = await quell.submission(id);
      keepDraft(submission);
      if (withheld) tell("What stands in its env is its owner's alone: it runs again without.");
      go(href("/submit"));
    } catch (error) {
      tellTrouble(error);
      setBusy(false);
    }
  };
  const resumable = hasEnded(status) && status !== "unconfirmed" && status !== "succeeded" && started;
  const run = async () => {
    setBusy(true);
    await resume(id);
    setBusy(false);
  };
  return (
    <div class="again">
      {resumable && (
        <button class="quiet" disabled={busy} onClick={() => void run()}>
          {checkpoint ? "Resume from its checkpoint" : "Run as next attempt"}
        </button>
      )}
      {!id.startsWith(ELSEWHERE) && (
        <button class="quiet" disabled={busy} onClick={() => void edit()}>
          Edit and run again
        </button>
      )}
    </div>
  );
}
