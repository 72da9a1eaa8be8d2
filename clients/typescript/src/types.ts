/** The API's words, by short names. All grow from docs/openapi.yaml (generated/schema.ts is made from it). */
import type { Cancellation, components, Evaluation, Mode, Status } from "./generated/schema.js";

export type {
  Abuse,
  AuditRow,
  Batch,
  BatchItem,
  Cancellation,
  Diagnosis,
  Evaluation,
  Key,
  KeyRequest,
  Mode,
  NewKey,
  NewWebhook,
  Observation,
  Orphans,
  Policy,
  Preview,
  Readiness,
  Report,
  Reported,
  Role,
  Rung,
  Session,
  Simulation,
  State,
  Status,
  Task,
  Trigger,
  Webhook,
  WebhookRequest,
} from "./generated/schema.js";

type Schemas = components["schemas"];

export type Submission = Partial<Schemas["Submission"]>;
/** With both numbers where a policy would stop more than half of what lives. */
export type Problem = Schemas["Problem"] & Pick<Schemas["Unconfirmed"], "would_stop" | "live">;
/** `env_withheld`: it has an env, which is its owner's alone. */
export interface Submitted {
  eval_id: string;
  submission: Submission;
  env_withheld: boolean;
}

export type Stream = "stdout" | "stderr";

/** One decision about an evaluation. */
export interface TimelineStep {
  at: string;
  attempt: number;
  status: Status;
  /** `why -> what`. */
  what: string;
}

export interface Page<Row> {
  rows: Row[];
  /** Where the next page begins; null on the last one. */
  cursor: string | null;
}

/** What changed. `evaluation` and `cancellation` carry no `steps`; on `reset` read the lists anew. */
export type QuellEvent =
  | { type: "evaluation"; id: string; evaluation: Evaluation }
  | { type: "cancellation"; id: string; cancellation: Cancellation }
  | { type: "reset"; id: string };

/** Statuses that never change any more. */
export const SETTLED: readonly Status[] = ["succeeded", "failed", "cancelled"];

/** Settled, or every means is spent: where waiting ends. */
export function hasEnded(status: Status): boolean {
  return SETTLED.includes(status) || status === "unconfirmed";
}

export interface Asking {
  /** Ends this call alone; what was asked of the server goes on there. */
  signal?: AbortSignal | undefined;
}

export interface ListOptions extends Asking {
  /** `owner=alice,status in (queued,running),age>10m`. */
  selector?: string | undefined;
  status?: Status | readonly Status[] | undefined;
  owner?: string | undefined;
  /** `["team", "red"]`. */
  label?: readonly [string, string] | undefined;
  limit?: number | undefined;
}

export interface Counted {
  count: number;
  statuses: Record<Status, number>;
}

/** A DSSE envelope: what was seen of a settled stop, signed by the server. */
export interface Receipt {
  payloadType: string;
  payload: string;
  signatures: { keyid: string; sig: string }[];
}

export type BatchRequest = Partial<Schemas["BatchRequest"]>;

export interface WebhookTest {
  delivered: boolean;
  message_id: string;
  http_status: number | null;
  took_ms: number;
  error: string | null;
}

export type PolicyRequest = Omit<Schemas["PolicyRequest"], "enabled"> & { enabled?: boolean };

export interface ConfirmOptions extends Asking {
  /** Though it stops more than half of what lives. */
  confirm?: boolean | undefined;
}

export interface SimulateOptions extends Asking {
  /** A time, a span as "7d", or "now". */
  since?: string | Date | undefined;
}

export interface AuditOptions extends Asking {
  /** `user:alice` */
  actor?: string | undefined;
  verb?: string | undefined;
  since?: string | Date | undefined;
  order?: "oldest" | "newest" | undefined;
  limit?: number | undefined;
}

export interface CancellationsOptions extends Asking {
  status?: Status | readonly Status[] | undefined;
  mode?: Mode | undefined;
  actor?: string | undefined;
  since?: string | Date | undefined;
  limit?: number | undefined;
}

export interface StopOptions extends Asking {
  /** Seconds before the next rung. */
  grace?: number | undefined;
  /** The highest rung that it may climb to by itself. */
  escalate?: "none" | "terminate" | "kill" | undefined;
  reason?: string | undefined;
  /** Seconds, up to 60, that the answer is held until it is settled. */
  wait?: number | undefined;
  /** Stop this attempt alone. */
  attempt?: number | undefined;
  /** All of these are meant: lifts the brake on storms of single stops. */
  confirm?: boolean | undefined;
}

export interface OutputOptions extends Asking {
  attempt?: number | undefined;
  stream?: Stream | undefined;
  /** From this byte of what is asked for. */
  offset?: number | undefined;
}

export interface WaitOptions extends Asking {
  /** Seconds until the wait is given up with a TimeoutError; none = until its end. */
  timeout?: number | undefined;
  /** How the evaluation is stopped when `signal` aborts; "leave" lets it go on. */
  onAbort?: "leave" | Mode | undefined;
}
