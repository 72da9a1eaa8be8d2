/** What the API's words mean to people. The words themselves come from the contract's types. */
import type { Cancellation, Evaluation, Mode, Rung, Status } from "quell-client";

export const STATUSES: readonly Status[] = [
  "queued",
  "running",
  "cancelling",
  "succeeded",
  "failed",
  "cancelled",
  "unconfirmed",
];

export const LIVE: readonly Status[] = ["queued", "running", "cancelling", "unconfirmed"];

export const STATUS_MEANS: Record<Status, string> = {
  queued: "waits for a worker",
  running: "its program runs",
  cancelling: "a stop is in force; it may still run",
  succeeded: "its program exited with 0",
  failed: "it ended by itself in another way",
  cancelled: "stopped, and nothing of it is left",
  unconfirmed: "every means is spent and something may still run",
};

export const MODE_NAME: Record<Mode, string> = {
  cancel: "Cancel",
  terminate: "Force Stop",
  kill: "Kill Container",
};

export const RUNG_NAME: Record<Rung, string> = {
  remove: "Take it out of the queue",
  notice: "Ask at the next checkpoint",
  terminate: "SIGTERM to the program",
  kill: "SIGKILL to the container",
  salvage: "Keep output and checkpoint",
  reap: "Prove that nothing is left",
};

export type Evidence = NonNullable<Cancellation["evidence"]>;

export const EVIDENCE: readonly Evidence[] = ["recorded", "delivered", "exited", "verified"];

const EVIDENCE_MEANS: Record<Evidence, string> = {
  recorded: "the request is durable",
  delivered: "the place of execution took it",
  exited: "the program's exit was seen",
  verified: "nothing of the run is left",
};

/** Of what never began. */
const EVIDENCE_UNBEGUN: Partial<Record<Evidence, string>> = {
  delivered: "whoever has it took it back",
  exited: "its program never began",
};

export function evidenceMeans(level: Evidence, outcome: Cancellation["outcome"]): string {
  const unbegun = outcome === "removed" || outcome === "discarded";
  return (unbegun && EVIDENCE_UNBEGUN[level]) || EVIDENCE_MEANS[level];
}

export const OUTCOME_MEANS: Record<NonNullable<Cancellation["outcome"]>, string> = {
  removed: "Taken out of the queue before it started",
  discarded: "Dropped before its program was released",
  stopped: "The program stopped by itself when asked",
  terminated: "Ended by SIGTERM",
  killed: "Ended by SIGKILL",
  finished_first: "It finished before the stop reached it",
  unconfirmed: "Every means is spent and something may still run",
};

export type Cause = NonNullable<Evaluation["cause"]>;

export const CAUSE_MEANS: Record<Cause, string> = {
  user: "asked by a user",
  timeout: "its run deadline passed",
  queue_ttl: "it waited in the queue for too long",
  policy: "a policy asked for it",
  superseded: "a newer submission replaced it",
  oom: "it ran out of memory",
  lost: "its supervisor or host died",
  exit: "it exited by itself with a failure",
};

/** The same, where there is little room. */
export const CAUSE_NAME: Record<Cause, string> = {
  user: "a user",
  timeout: "run deadline",
  queue_ttl: "queued too long",
  policy: "a policy",
  superseded: "superseded",
  oom: "out of memory",
  lost: "lost",
  exit: "its own exit",
};

export const UNASKED_MEANS: Record<Cancellation["unasked"][number], string> = {
  pidfd: "whether the first process has exited",
  cgroup: "whether a process is left in the run's cgroups",
  pidns: "whether a process is left in the run's PID namespace",
  marks: "whether a process carries the run's marks",
  mounts: "whether a mount of the run is left",
  runtime: "the runtime's own word",
  workers: "what a worker of the broker's has that says nothing any more",
  host: "the place of execution itself: it is another host",
};

/** Members of a submission, as the page calls them. */
export const MEMBER_NAME = {
  timeout_s: "Run deadline",
  grace_s: "Grace before SIGKILL",
  memory_mb: "Memory",
  cpus: "Processors",
  pids: "Processes",
  priority: "Priority",
  queue_ttl_s: "Must start within",
} as const;

/** How it ended, in a few characters. */
export function ending(evaluation: Evaluation): string {
  if (evaluation.signal) return evaluation.signal;
  if (evaluation.exit_code !== null) return `exit ${evaluation.exit_code}`;
  return evaluation.cause && evaluation.cause !== "user" ? CAUSE_NAME[evaluation.cause] : "";
}
