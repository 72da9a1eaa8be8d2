/** Writes a policy, by a form or as JSON, looks whom it would have stopped, and makes it. */
import { type PolicyRequest, Refused, type Simulation, type Trigger } from "quell-client";
import { useState } from "preact/hooks";
import { TroubleBox } from "../parts/trouble.js";
import { quell, rights } from "../session.js";
import { tell } from "../toast.js";
import { begin, ESCALATE, type Escalate, type Field, FIELDS, type Kind, KINDS, sentenceOf } from "../triggers.js";
import { ConfirmHalf, type Half, halfOf } from "./half.js";
import { ModeSelect } from "./modeselect.js";
import { Simulate, Simulated } from "./simulation.js";

const FIRST: PolicyRequest = {
  name: "",
  selector: "priority>=0",
  trigger: begin("run_deadline"),
  mode: "terminate",
  enabled: true,
};

export function NewPolicy({ onMade }: { onMade: () => void }) {
  const [request, setRequest] = useState<PolicyRequest>(FIRST);
  const [json, setJson] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [half, setHalf] = useState<Half | null>(null);
  const [found, setFound] = useState<Simulation | null>(null);
  const change = (more: Partial<PolicyRequest>) => setRequest({ ...request, ...more });
  /** Throws what is wrong with the JSON, as a sentence. */
  const written = () => (json === null ? request : parsed(json));
  const act = async (work: (policy: PolicyRequest) => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    setHalf(null);
    setFound(null);
    try {
      await work(written());
    } catch (refusal) {
      const both = halfOf(refusal);
      if (both) setHalf(both);
      else setError(refusal);
    }
    setBusy(false);
  };
  const make = (confirm: boolean) =>
    act(async (policy) => {
      const made = await quell.createPolicy(policy, { confirm });
      tell(made.enabled ? `${made.name} stops from now on.` : `${made.name} is made, and switched off.`);
      setRequest(FIRST);
      setJson(null);
      onMade();
    });
  const turn = () => {
    if (json === null) return setJson(JSON.stringify(request, null, 2));
    try {
      setRequest({ ...FIRST, ...parsed(json) });
      setJson(null);
      setError(null);
    } catch (wrong) {
      setError(wrong);
    }
  };
  const wrong = error instanceof Refused ? error.problem.field : undefined;
  const admin = rights.value === "admin";
  return (
    <form
      class="panel"
      aria-labelledby="new-policy"
      onSubmit={(event) => {
        event.preventDefault();
        if (admin) void make(false);
      }}
    >
      <div class="policy-head">
        <h2 id="new-policy">{admin ? "Make one" : "Try one"}</h2>
        <button type="button" class="plain small" onClick={turn}>
          {json === null ? "As JSON" : "As a form"}
        </button>
      </div>
      {json === null ? (
        <Fields request={request} change={change} wrong={wrong} />
      ) : (
        <label class="policy-json">
          The policy as JSON
          <textarea rows={10} spellcheck={false} value={json} onInput={(event) => setJson(event.currentTarget.value)} />
        </label>
      )}
      {error !== null && <TroubleBox error={error} />}
      {half && <ConfirmHalf half={half} what="Make it all the same" onYes={() => void make(true)} onNo={() => setHalf(null)} />}
      <div class="policy-acts">
        <Simulate
          busy={busy}
          of="this policy"
          onSince={(since) => void act(async (policy) => setFound(await quell.simulate(named(policy), { since })))}
        />
        {admin ? (
          <button class="primary" disabled={busy}>
            Make it
          </button>
        ) : (
          <span class="hint">Only an admin makes policies; whom one would stop, you may see.</span>
        )}
      </div>
      {found && <Simulated found={found} />}
    </form>
  );
}

/** Who only looks need not find a name. */
function named(policy: PolicyRequest): PolicyRequest {
  return { ...policy, name: policy.name || "unnamed" };
}

function parsed(text: string): PolicyRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`This is no JSON: ${(error as Error).message}. A policy is an object with name, selector and trigger.`);
  }
  if (typeof value !== "object" || !value || Array.isArray(value))
    throw new Error("A policy is an object with name, selector and trigger.");
  return value as PolicyRequest;
}

interface FieldsProps {
  request: PolicyRequest;
  change: (more: Partial<PolicyRequest>) => void;
  wrong: string | undefined;
}

function Fields({ request, change, wrong }: FieldsProps) {
  const { name, selector, trigger, mode = "cancel", escalate, grace_s: grace, enabled = true } = request;
  const set = (more: Partial<Trigger>) => change({ trigger: { ...trigger, ...more } });
  return (
    <>
      <div class="new-key">
        <label>
          Name
          <input
            value={name}
            placeholder="no-stragglers"
            aria-invalid={wrong === "name"}
            onInput={(event) => change({ name: event.currentTarget.value.trim() })}
          />
        </label>
        <label>
          When
          <select value={trigger.kind} onChange={(event) => change({ trigger: begin(event.currentTarget.value as Kind) })}>
            {KINDS.map(([kind, means]) => (
              <option key={kind} value={kind}>
                {means}
              </option>
            ))}
          </select>
        </label>
        {FIELDS[trigger.kind].map((field) => (
          <TriggerField key={field.name} field={field} trigger={trigger} set={set} wrong={wrong} />
        ))}
        <label>
          How
          <ModeSelect mode={mode} onMode={(chosen) => change({ mode: chosen })} />
        </label>
        {mode !== "kill" && (
          <label>
            And then
            <select
              value={escalate ?? ""}
              onChange={(event) => change({ escalate: (event.currentTarget.value as Escalate) || null })}
            >
              <option value="">as that does by itself</option>
              {ESCALATE.map(([value, words]) => (
                <option key={value} value={value}>
                  {words}
                </option>
              ))}
            </select>
          </label>
        )}
        {mode !== "kill" && (
          <label>
            Grace in s
            <input
              type="number"
              min="0"
              step="any"
              placeholder="its own"
              value={grace ?? ""}
              onInput={(event) => change({ grace_s: numberOf(event.currentTarget.value) ?? null })}
            />
          </label>
        )}
        <label class="toggle">
          <input type="checkbox" checked={enabled} onChange={(event) => change({ enabled: event.currentTarget.checked })} /> Switched on
        </label>
      </div>
      <label class="policy-selector">
        Whom it may stop
        <input
          class="selector"
          value={selector}
          spellcheck={false}
          autocapitalize="off"
          aria-invalid={wrong === "selector"}
          aria-describedby="policy-sentence"
          onInput={(event) => change({ selector: event.currentTarget.value })}
        />
      </label>
      <p id="policy-sentence" class="hint">
        A selector as <code>queue=low,label.team=ml</code>; for all, <code>priority&gt;=0</code>. It stops {sentenceOf(trigger)}.
      </p>
    </>
  );
}

function numberOf(text: string): number | undefined {
  return text === "" ? undefined : Number(text);
}

interface TriggerFieldProps {
  field: Field;
  trigger: Trigger;
  set: (more: Partial<Trigger>) => void;
  wrong: string | undefined;
}

function TriggerField({ field, trigger, set, wrong }: TriggerFieldProps) {
  const { name, label, unit, text, words } = field;
  const put = (value: string) => set({ [name]: text || words ? value : numberOf(value) });
  const value = trigger[name] ?? "";
  return (
    <label>
      {label}
      {unit && ` (${unit})`}
      {words ? (
        <select value={value} onChange={(event) => put(event.currentTarget.value)}>
          {words.map((word) => (
            <option key={word} value={word}>
              {word.replace("_", " ")}
            </option>
          ))}
        </select>
      ) : (
        <input
          {...(text ? {} : ({ type: "number", step: "any" } as const))}
          value={value}
          aria-invalid={wrong?.endsWith(name) ?? false}
          onInput={(event) => put(event.currentTarget.value)}
        />
      )}
    </label>
  );
}
