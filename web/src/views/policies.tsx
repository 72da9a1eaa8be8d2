/** What is stopped by itself: the rules, what each of them did, and whom they would stop. */
import type { Policy, Simulation } from "quell-client";
import { useEffect, useState } from "preact/hooks";
import { ago, dateTime, now } from "../format.js";
import { TroubleBox } from "../parts/trouble.js";
import { evaluationHref } from "../router.js";
import { quell, rights } from "../session.js";
import { tell } from "../toast.js";
import { climbOf, sentenceOf, stopsOf } from "../triggers.js";
import { MODE_NAME } from "../words.js";
import { ConfirmHalf, type Half, halfOf } from "./half.js";
import { NewPolicy } from "./newpolicy.js";
import { Simulate, Simulated } from "./simulation.js";

const EVERY_MS = 5000;

/** Read again while it is looked at: policies stop without anybody's doing. */
function usePolicies() {
  const [policies, setPolicies] = useState<readonly Policy[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      try {
        if (!document.hidden) setPolicies(await quell.policies({ signal: end.signal }));
        setError(null);
      } catch (refusal) {
        if (!end.signal.aborted) setError(refusal);
      }
      if (!end.signal.aborted) timer = setTimeout(() => void look(), EVERY_MS);
    };
    void look();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [turn]);
  return { policies, error, again: () => setTurn(turn + 1) };
}

export function PoliciesView() {
  const { policies, error, again } = usePolicies();
  return (
    <div class="access">
      <h1>Policies</h1>
      {error !== null && <TroubleBox error={error} retry={again} />}
      {policies && (
        <>
          {policies.length ? (
            <ul class="policies">
              {policies.map((policy) => (
                <Rule key={policy.name} policy={policy} onChange={again} />
              ))}
            </ul>
          ) : (
            <p class="hint">
              Nothing is stopped by itself yet. A policy says whom it may stop, when, and how. Write one below, and see
              whom it would have stopped before it stops anybody.
            </p>
          )}
          <NewPolicy onMade={again} />
        </>
      )}
    </div>
  );
}

function Rule({ policy, onChange }: { policy: Policy; onChange: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [half, setHalf] = useState<Half | null>(null);
  const [found, setFound] = useState<Simulation | null>(null);
  const { name, enabled, trigger, selector, mode, last, trouble } = policy;
  const act = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    setHalf(null);
    try {
      await work();
    } catch (refusal) {
      const both = halfOf(refusal);
      if (both) setHalf(both);
      else setError(refusal);
    }
    setBusy(false);
  };
  const enable = (confirm: boolean) =>
    act(async () => {
      await quell.enablePolicy(name, { confirm });
      tell(`${name} stops from now on.`);
      onChange();
    });
  const disable = () =>
    act(async () => {
      await quell.disablePolicy(name);
      tell(`${name} stops nothing until it is switched on again.`);
      onChange();
    });
  const remove = () =>
    act(async () => {
      await quell.deletePolicy(name);
      tell(`${name} is removed. What it stopped stays stopped.`);
      onChange();
    });
  return (
    <li class={`panel policy ${enabled ? "" : "off"}`}>
      <div class="policy-head">
        <h2>{name}</h2>
        <Switch policy={policy} busy={busy} onSwitch={() => void (enabled ? disable() : enable(false))} />
      </div>
      <p>
        Of <code>{selector}</code>: <b>{MODE_NAME[mode]}</b> {sentenceOf(trigger)}
        {climbOf(policy)}.
      </p>
      <p class="muted">
        {stopsOf(policy)}
        {last && (
          <>
            {" "}
            Last <a href={evaluationHref(last.eval_id)}>{last.eval_id}</a>,{" "}
            <span title={dateTime(last.at)}>{ago(last.at, now.value)}</span>: {last.why}.
          </>
        )}{" "}
        Made by {policy.created_by.replace(/^user:/, "")}, {ago(policy.created_at, now.value)}.
      </p>
      {trouble && <div class="trouble">Its latest round came to nothing: {trouble}</div>}
      {half && (
        <ConfirmHalf half={half} what={`Switch ${name} on`} onYes={() => void enable(true)} onNo={() => setHalf(null)} />
      )}
      {error !== null && <TroubleBox error={error} />}
      <div class="policy-acts">
        <Simulate
          busy={busy}
          of={name}
          onSince={(since) => void act(async () => setFound(await quell.simulate(name, { since })))}
        />
        {rights.value === "admin" && <Remove name={name} busy={busy} onSure={() => void remove()} />}
      </div>
      {found && <Simulated found={found} />}
    </li>
  );
}

function Switch({ policy, busy, onSwitch }: { policy: Policy; busy: boolean; onSwitch: () => void }) {
  const { name, enabled } = policy;
  const may = rights.value === "admin";
  return (
    <button
      class="switch"
      role="switch"
      aria-checked={enabled}
      aria-label={`${name} stops by itself`}
      disabled={busy || !may}
      title={may ? undefined : "Only an admin switches policies on and off."}
      onClick={onSwitch}
    >
      <i aria-hidden="true" />
      {enabled ? "On" : "Off"}
    </button>
  );
}

function Remove({ name, busy, onSure }: { name: string; busy: boolean; onSure: () => void }) {
  const [sure, setSure] = useState(false);
  return (
    <button
      class={sure ? "danger small" : "plain small"}
      disabled={busy}
      onClick={() => (sure ? onSure() : setSure(true))}
      onBlur={() => setSure(false)}
    >
      {sure ? "Remove for good" : "Remove"}
      <span class="visually-hidden"> {name}</span>
    </button>
  );
}
