/** Three ways to stop what runs, and what each one costs. */
import type { Evaluation, Mode } from "quell-client";
import { useEffect, useRef, useState } from "preact/hooks";
import { stop, useVain, whyNot } from "../stops.js";
import { MODE_NAME } from "../words.js";

const MODES: readonly Mode[] = ["cancel", "terminate", "kill"];

interface Price {
  loses: string;
  how: string;
}

const PRICES: Record<Mode, Price> = {
  cancel: {
    loses: "Loses nothing:",
    how: "it is asked to stop at its next checkpoint, and waited for; a program that never looks goes on.",
  },
  terminate: {
    loses: "May lose what it did since its last checkpoint:",
    how: "SIGTERM now, and SIGKILL after the grace.",
  },
  kill: {
    loses: "Loses what it has not saved:",
    how: "SIGKILL for all of its container, at once; its output so far and its last checkpoint stay.",
  },
};

export function Choice({ evaluation, onClose }: { evaluation: Evaluation; onClose: () => void }) {
  const vain = useVain(evaluation);
  const first = useRef<HTMLButtonElement>(null);
  const [reason, setReason] = useState("");
  const [grace, setGrace] = useState("");
  const [busy, setBusy] = useState<Mode | null>(null);
  useEffect(() => first.current?.focus(), []);
  const ask = async (mode: Mode) => {
    setBusy(mode);
    const seconds = grace === "" ? undefined : Number(grace);
    await stop(evaluation.eval_id, mode, { reason: reason || undefined, grace: seconds, wait: 0 });
    setBusy(null);
  };
  return (
    <section
      class="decision choice"
      aria-label="How to stop it"
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <h2>How shall it stop?</h2>
      <div class="choices">
        {MODES.map((mode, index) => {
          const reason = whyNot(evaluation, mode, vain);
          return (
            <div key={mode} class={`choice-${mode}`}>
              <button
                ref={index ? null : first}
                class={mode === "kill" ? "quiet dangerous" : mode === "cancel" ? "primary" : "quiet"}
                disabled={busy !== null || reason !== null}
                aria-describedby={`loses-${mode}`}
                onClick={() => void ask(mode)}
              >
                {busy === mode ? "Asking…" : MODE_NAME[mode]}
              </button>
              <p id={`loses-${mode}`}>{reason ?? <Loses price={PRICES[mode]} />}</p>
            </div>
          );
        })}
      </div>
      <div class="choice-how">
        <label>
          Reason <input value={reason} maxLength={1000} placeholder="optional, kept with the proof" onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
        <label>
          Grace before SIGKILL{" "}
          <span class="with-unit">
            <input type="number" min="0" step="any" value={grace} placeholder="its own" onInput={(event) => setGrace(event.currentTarget.value)} />
            <i>s</i>
          </span>
        </label>
        <button class="plain" onClick={onClose}>
          Let it run
        </button>
      </div>
    </section>
  );
}

function Loses({ price: { loses, how } }: { price: Price }) {
  return (
    <>
      <b>{loses}</b> {how}
    </>
  );
}
