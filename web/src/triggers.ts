/** When a policy stops: what each kind of trigger takes, and the sentence that says it. */
import type { Policy, Trigger } from "quell-client";
import { count, span } from "./format.js";

export type Kind = Trigger["kind"];
export type Member = Exclude<keyof Trigger, "kind">;

export const KINDS: readonly [Kind, string][] = [
  ["run_deadline", "it runs for too long"],
  ["queue_ttl", "it waits for too long"],
  ["session_ended", "its session is over"],
  ["superseded", "a newer one takes its place"],
  ["overload", "there is too much"],
  ["budget", "its owner used too much"],
];

export interface Field {
  name: Member;
  label: string;
  unit: string;
  /** Words of a list, or free text; numbers where there is neither. */
  text?: boolean;
  words?: readonly string[];
  usual: string;
}

export const FIELDS: Record<Kind, readonly Field[]> = {
  run_deadline: [{ name: "after_s", label: "Longer than", unit: "s", usual: "600" }],
  queue_ttl: [{ name: "after_s", label: "Longer than", unit: "s", usual: "3600" }],
  session_ended: [],
  superseded: [{ name: "key", label: "The same", unit: "", text: true, usual: "label.branch" }],
  overload: [
    { name: "measure", label: "Of what", unit: "", words: ["queue_depth", "memory", "load"], usual: "queue_depth" },
    { name: "high", label: "From", unit: "", usual: "1000" },
    { name: "low", label: "Down to", unit: "", usual: "500" },
  ],
  budget: [
    { name: "cpu_s", label: "Processor time", unit: "s", usual: "3600" },
    { name: "window_s", label: "Within", unit: "s", usual: "86400" },
  ],
};

const MEASURES: Record<NonNullable<Trigger["measure"]>, string> = {
  queue_depth: "evaluations wait",
  memory: "% of the host's memory are in use",
  load: "of load for each processor",
};

function seconds(value: number | undefined): string {
  return span((value ?? 0) * 1000);
}

/** "what has run for longer than 10 min" */
export function sentenceOf(trigger: Trigger): string {
  const { kind, after_s: after, key, measure, high, low, cpu_s: used, window_s: within } = trigger;
  if (kind === "run_deadline") return `what has run for longer than ${seconds(after)}`;
  if (kind === "queue_ttl") return `what has waited for longer than ${seconds(after)}`;
  if (kind === "session_ended") return "what belongs to a session that was ended or lost";
  if (kind === "superseded") return `what has a newer one of its owner with the same ${key}`;
  if (kind === "budget")
    return `what its owner has live, once ${seconds(used)} of processor time were used within ${seconds(within)}`;
  return `while ${count(high ?? 0)} ${MEASURES[measure ?? "queue_depth"]} or more, down to ${count(low ?? 0)}`;
}

/** A trigger of this kind with what it takes, as it is usual. */
export function begin(kind: Kind): Trigger {
  const trigger: Trigger = { kind };
  for (const { name, usual, text, words } of FIELDS[kind])
    Object.assign(trigger, { [name]: text || words ? usual : Number(usual) });
  return trigger;
}

export type Escalate = NonNullable<Policy["escalate"]>;

export const ESCALATE: readonly [Escalate, string][] = [
  ["none", "climbs no further"],
  ["terminate", "climbs to SIGTERM"],
  ["kill", "climbs to SIGKILL"],
];

/** "; climbs to SIGKILL, 10 s to each rung" */
export function climbOf({ escalate, grace_s: grace }: Pick<Policy, "escalate" | "grace_s">): string {
  const how = ESCALATE.find(([value]) => value === escalate)?.[1];
  const parts = [how, grace !== null && `${span(grace * 1000)} to each rung`].filter(Boolean);
  return parts.length ? `; ${parts.join(", ")}` : "";
}

export type Since = "now" | "1d" | "7d" | "30d";

export const SINCE: readonly [Since, string][] = [
  ["now", "as of now"],
  ["1d", "in the last day"],
  ["7d", "in the last week"],
  ["30d", "in the last month"],
];

export function stopsOf({ stops, last }: Policy): string {
  if (!stops) return last ? "" : "Stopped nothing so far.";
  return `Stopped ${count(stops)} so far.`;
}
