/** Whether it shall stop: the choice, the way there, and the proof. */
import { type Cancellation, type Evaluation, hasEnded } from "quell-client";
import { useState } from "preact/hooks";
import { restore, stop } from "../stops.js";
import { Choice } from "./choice.js";
import { Ladder } from "./ladder.js";
import { Proof } from "./proof.js";

interface Props {
  evaluation: Evaluation;
  cancellation: Cancellation | null;
}

export function Decision({ evaluation, cancellation }: Props) {
  const { status } = evaluation;
  if (status === "cancelling" && cancellation)
    return <Ladder evaluation={evaluation} cancellation={cancellation} />;
  if (status === "queued") return <Queued evaluation={evaluation} />;
  if (status === "running") return <Running evaluation={evaluation} />;
  if (cancellation && hasEnded(status)) return <Proof evaluation={evaluation} cancellation={cancellation} />;
  return null;
}

function Queued({ evaluation }: { evaluation: Evaluation }) {
  const [busy, setBusy] = useState(false);
  const cancel = async () => {
    setBusy(true);
    await stop(evaluation.eval_id, "cancel");
    setBusy(false);
  };
  return (
    <section class="decision calm" aria-label="Decision">
      <p>It waits in the queue. A cancel takes it out at once, and can be undone.</p>
      <button class="primary" disabled={busy} onClick={() => void cancel()}>
        Cancel
      </button>
    </section>
  );
}

function Running({ evaluation }: { evaluation: Evaluation }) {
  const [open, setOpen] = useState(false);
  if (open) return <Choice evaluation={evaluation} onClose={() => setOpen(false)} />;
  return (
    <section class="decision calm" aria-label="Decision">
      <p>Its program runs.</p>
      <button class="primary" aria-expanded={false} onClick={() => setOpen(true)}>
        Cancel
      </button>
    </section>
  );
}

export function Undo({ id }: { id: string }) {
  const [busy, setBusy] = useState(false);
  const undo = async () => {
    setBusy(true);
    if (!(await restore(id))) setBusy(false);
  };
  return (
    <button class="primary" disabled={busy} onClick={() => void undo()}>
      Undo
    </button>
  );
}
