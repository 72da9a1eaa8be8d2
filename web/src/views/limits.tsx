/** The limits and marks of a submission; what is left empty is the server's default. */
import { useState } from "preact/hooks";
import type { Submission } from "quell-client";
import { MEMBER_NAME } from "../words.js";

type Name = keyof typeof MEMBER_NAME;

interface Field {
  name: Name;
  hint?: string;
  unit: string;
  usual: string;
  step: string;
}

const FIELDS: readonly Field[] = [
  { name: "timeout_s", unit: "s", usual: "3600", step: "any" },
  { name: "grace_s", unit: "s", usual: "10", step: "any" },
  { name: "memory_mb", unit: "MiB", usual: "512", step: "1" },
  { name: "cpus", unit: "", usual: "1", step: "any" },
  { name: "pids", unit: "", usual: "256", step: "1" },
  { name: "priority", hint: ", 0 to 9", unit: "", usual: "5", step: "1" },
  { name: "queue_ttl_s", unit: "s", usual: "never", step: "any" },
];

type Mark = "queue" | "session";

const MARKS: readonly { name: Mark; label: string; usual: string }[] = [
  { name: "queue", label: "Queue", usual: "the usual one" },
  { name: "session", label: "Session", usual: "none" },
];

interface Props {
  what: Submission;
  change: (more: Submission) => void;
  /** The member that the server refused. */
  wrong: string | undefined;
}

export function Limits({ what, change, wrong }: Props) {
  return (
    <section>
      <h2>Limits</h2>
      <div class="limits">
        {FIELDS.map((field) => (
          <label key={field.name}>
            <span>
              {MEMBER_NAME[field.name]}
              {field.hint}
            </span>
            <span class="with-unit">
              <input
                type="number"
                step={field.step}
                placeholder={field.usual}
                aria-invalid={wrong === field.name}
                value={what[field.name] ?? ""}
                onInput={(event) => change(numbered(field.name, event.currentTarget.value))}
              />
              {field.unit && <i>{field.unit}</i>}
            </span>
          </label>
        ))}
      </div>
      <div class="limits marks">
        {MARKS.map(({ name, label, usual }) => (
          <label key={name}>
            <span>{label}</span>
            <input
              placeholder={usual}
              aria-invalid={wrong === name}
              value={what[name] ?? ""}
              onInput={(event) => change(worded(name, event.currentTarget.value))}
            />
          </label>
        ))}
      </div>
      <Labels what={what} change={change} wrong={wrong} />
    </section>
  );
}

/** An empty field takes its member out: undefined is not sent. */
function numbered(name: Name, text: string): Submission {
  return { [name]: text === "" ? undefined : Number(text) } as Submission;
}

function worded(name: Mark, text: string): Submission {
  return { [name]: text || undefined } as Submission;
}

function Labels({ what, change, wrong }: Props) {
  const [text, setText] = useState(() => lineOf(what.labels));
  const [before, setBefore] = useState(what.labels);
  if (before !== what.labels) {
    setBefore(what.labels);
    if (lineOf(what.labels) !== lineOf(read(text))) setText(lineOf(what.labels));
  }
  return (
    <label class="labels-field">
      <span>Labels</span>
      <input
        placeholder="team=red run=7"
        aria-invalid={wrong === "labels"}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          change({ labels: read(event.currentTarget.value) });
        }}
      />
    </label>
  );
}

function lineOf(labels: Submission["labels"]): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(" ");
}

function read(text: string): Record<string, string> {
  const pairs = text.split(/\s+/).filter(Boolean);
  return Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s, 2)).map(([key, value]) => [key!, value ?? ""]));
}
