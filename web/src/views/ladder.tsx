/** A stop under way: the rung it is on, what comes next and when, and the way to hurry it. */
import type { Cancellation, Evaluation, Mode, Rung } from "quell-client";
import { useEffect, useState } from "preact/hooks";
import { now, span, ticking } from "../format.js";
import { stop, useVain, whyNot } from "../stops.js";
import { MODE_NAME, RUNG_NAME } from "../words.js";

const CLIMBED: readonly Rung[] = ["notice", "terminate", "kill", "salvage", "reap"];

interface Props {
  evaluation: Evaluation;
  cancellation: Cancellation;
}

type Place = "done" | "here" | "next" | "later" | "skipped";

/** The rungs as far as this stop goes, each with the time at which it was begun. */
function rungs(cancellation: Cancellation): { rung: Rung; place: Place; at: string | undefined }[] {
  const begun = new Map<Rung, string>();
  for (const step of cancellation.steps) if (!begun.has(step.rung)) begun.set(step.rung, step.at);
  const last = cancellation.steps.at(-1)?.rung;
  const here = last ? CLIMBED.indexOf(last) : -1;
  return CLIMBED.map((rung, index) => {
    const at = begun.get(rung);
    if (rung === last) return { rung, place: "here", at };
    if (rung === cancellation.next?.rung) return { rung, place: "next", at };
    if (index < here) return { rung, place: at ? "done" : "skipped", at };
    return { rung, place: "later", at };
  });
}

function reached(ms: number): string {
  return ms > 0 ? `after ${span(ms)}` : "at once";
}

export function Ladder({ evaluation, cancellation }: Props) {
  useTick(cancellation.next !== null);
  const began = Date.parse(cancellation.requested_at ?? evaluation.created_at);
  return (
    <section class="decision under-way" aria-label="Stop under way">
      <div class="ladder-head">
        <h2>{MODE_NAME[cancellation.mode]} is under way</h2>
        <span class="muted">{ticking(Math.max(0, now.value - began))}</span>
      </div>
      <p role="status" class="ladder-next">
        <Next cancellation={cancellation} />
      </p>
      <ol class="ladder">
        {rungs(cancellation).map(({ rung, place, at }) => (
          <li key={rung} class={`rung-${place}`} aria-current={place === "here" ? "step" : undefined}>
            <i aria-hidden="true" />
            <span>{RUNG_NAME[rung]}</span>
            <small>{place === "skipped" ? "not waited for" : at && reached(Date.parse(at) - began)}</small>
          </li>
        ))}
      </ol>
      <Escalate evaluation={evaluation} />
    </section>
  );
}

/** The seconds of a countdown must not stand still behind the clock of the page. */
function useTick(on: boolean): void {
  const [, setTurn] = useState(0);
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(() => setTurn((turn) => turn + 1), 250);
    return () => clearInterval(timer);
  }, [on]);
}

function Next({ cancellation }: { cancellation: Cancellation }) {
  const { next, mode } = cancellation;
  const asked = mode === "cancel" && "It was asked to stop at its next checkpoint, and is waited for. ";
  if (!next) return <>{asked ? `${asked}Nothing stronger comes by itself.` : cancellation.message}</>;
  const left = Math.max(0, Date.parse(next.at) - Date.now());
  return (
    <>
      {asked}
      <b>{RUNG_NAME[next.rung]}</b> in <b class="countdown">{countdown(left)}</b>, unless it ends before.
    </>
  );
}

function countdown(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : ticking(ms);
}

function Escalate({ evaluation }: { evaluation: Evaluation }) {
  const [busy, setBusy] = useState<Mode | null>(null);
  const vain = useVain(evaluation);
  const ask = async (mode: Mode) => {
    setBusy(mode);
    await stop(evaluation.eval_id, mode, { wait: 0 });
    setBusy(null);
  };
  const stronger = (["terminate", "kill"] as const).map((mode) => ({ mode, reason: whyNot(evaluation, mode, vain) }));
  const reasons = new Set(stronger.map(({ reason }) => reason).filter((reason) => reason !== null));
  return (
    <div class="escalate">
      <span>Escalate now:</span>
      {stronger.map(({ mode, reason }) => (
        <button
          key={mode}
          class={mode === "kill" ? "danger" : "quiet"}
          disabled={reason !== null || busy !== null}
          title={reason ?? undefined}
          onClick={() => void ask(mode)}
        >
          {MODE_NAME[mode]}
        </button>
      ))}
      {[...reasons].map((reason) => (
        <small key={reason} class="muted">
          {reason}
        </small>
      ))}
    </div>
  );
}
