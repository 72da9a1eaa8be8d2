/** One server, spoken to as one owner. */
import { Unreachable, WaitTimeout } from "./errors.js";
import { events, type EventsOptions } from "./events.js";
import { follow, outputPath } from "./output.js";
import { Patience, pause } from "./patience.js";
import { type Call, type Settings, Transport } from "./transport.js";
import {
  type Abuse,
  type Asking,
  type AuditOptions,
  type AuditRow,
  type Batch,
  type BatchItem,
  type BatchRequest,
  type Cancellation,
  type CancellationsOptions,
  type ConfirmOptions,
  type Counted,
  type Diagnosis,
  type Evaluation,
  hasEnded,
  type Key,
  type KeyRequest,
  type ListOptions,
  type Mode,
  type NewKey,
  type NewWebhook,
  type Observation,
  type Orphans,
  type OutputOptions,
  type Page,
  type Policy,
  type PolicyRequest,
  type Preview,
  type QuellEvent,
  type Readiness,
  type Receipt,
  type Report,
  type Reported,
  type Session,
  type SimulateOptions,
  type Simulation,
  type Status,
  type StopOptions,
  type Submission,
  type Submitted,
  type Task,
  type TimelineStep,
  type WaitOptions,
  type Webhook,
  type WebhookRequest,
  type WebhookTest,
} from "./types.js";

const LONGEST_HOLD = 60;
const PAGE = 1000;

export class Quell {
  readonly #transport: Transport;

  constructor(settings: Settings = {}) {
    this.#transport = new Transport(settings);
  }

  get url(): string {
    return this.#transport.url;
  }

  // ---- evaluations ----

  /** With an idempotency key of its own, so that a broken connection submits nothing twice. */
  submit(
    submission: Submission,
    options: Asking & { idempotencyKey?: string | undefined } = {},
  ): Promise<Evaluation> {
    const headers = { "Idempotency-Key": options.idempotencyKey ?? globalThis.crypto?.randomUUID?.() };
    return this.#json({
      method: "POST",
      path: "/api/eval",
      body: submission,
      headers,
      signal: options.signal,
    });
  }

  /** All or none, in their order. */
  async submitBatch(evaluations: Submission[], options: Asking = {}): Promise<Evaluation[]> {
    const answer = await this.#json<{ evaluations: Evaluation[] }>({
      method: "POST",
      path: "/api/eval-batch",
      body: { evaluations },
      signal: options.signal,
    });
    return answer.evaluations;
  }

  get(id: string, options: Asking & { wait?: number | undefined } = {}): Promise<Evaluation> {
    return this.#json({
      method: "GET",
      path: evalPath(id),
      query: { wait: options.wait || undefined },
      hold: options.wait,
      signal: options.signal,
    });
  }

  /**
   * Until it is settled or unconfirmed; goes on over a restart of the server. When the signal aborts,
   * the evaluation is stopped as `onAbort` says ("leave" where it doesn't), and the reason is thrown.
   */
  async waitFor(id: string, options: WaitOptions = {}): Promise<Evaluation> {
    try {
      return await this.#wait(id, options);
    } catch (error) {
      if (options.signal?.aborted) await this.#abandon(id, options.onAbort ?? "leave");
      throw error;
    }
  }

  /** Submits, and waits for the end; when the signal aborts, it is cancelled. */
  async run(submission: Submission, options: WaitOptions = {}): Promise<Evaluation> {
    options.signal?.throwIfAborted();
    const made = await this.submit(submission);
    return this.waitFor(made.eval_id, { onAbort: "cancel", ...options });
  }

  /** Newest first, page by page as it is read; at most `limit`. */
  async *list(options: ListOptions = {}): AsyncGenerator<Evaluation> {
    yield* this.#pages(options.limit, (cursor, limit) =>
      this.listPage({ ...options, limit }, cursor),
    );
  }

  async listPage(options: ListOptions = {}, cursor?: string | null): Promise<Page<Evaluation>> {
    const answer = await this.#json<{ evaluations: Evaluation[]; next_cursor: string | null }>({
      method: "GET",
      path: "/api/evaluations",
      query: { ...meant(options), limit: options.limit, cursor: cursor ?? undefined },
      signal: options.signal,
    });
    return { rows: answer.evaluations, cursor: answer.next_cursor };
  }

  /** How many there are, by status; `limit` is not looked at. */
  count(options: ListOptions = {}): Promise<Counted> {
    const path = "/api/evaluations/count";
    return this.#json({ method: "GET", path, query: meant(options), signal: options.signal });
  }

  async timeline(id: string, options: Asking = {}): Promise<TimelineStep[]> {
    const path = `${evalPath(id)}/timeline`;
    const answer = await this.#json<{ steps: TimelineStep[] }>({
      method: "GET",
      path,
      signal: options.signal,
    });
    return answer.steps;
  }

  /** Why it is still alive; of one that can't be found, the refusal says what may have been meant. */
  doctor(id: string, options: Asking = {}): Promise<Diagnosis> {
    return this.#json({ method: "GET", path: `${evalPath(id)}/doctor`, signal: options.signal });
  }

  /** What there is of it now. */
  output(id: string, options: OutputOptions = {}): Promise<Uint8Array> {
    const { attempt, stream, offset, signal } = options;
    const query = { attempt, stream, offset };
    return this.#transport.bytes({ method: "GET", path: outputPath(id), query, signal });
  }

  /** The output as it comes, until the attempt's end. */
  follow(id: string, options: OutputOptions = {}): AsyncGenerator<Uint8Array> {
    const latest = async () => (await this.get(id, { signal: options.signal })).attempt;
    return follow(this.#transport, id, latest, options);
  }

  /** What was submitted as it, ready to be submitted again. */
  submission(id: string, options: Asking = {}): Promise<Submitted> {
    return this.#json({ method: "GET", path: `${evalPath(id)}/submission`, signal: options.signal });
  }

  /** The last saved checkpoint, a tar. */
  checkpoint(id: string, options: Asking = {}): Promise<Uint8Array> {
    const path = `${evalPath(id)}/checkpoint`;
    return this.#transport.bytes({ method: "GET", path, signal: options.signal });
  }

  /** Undoes the cancel of one that never started. */
  restore(id: string, options: Asking = {}): Promise<Evaluation> {
    return this.#again(id, "restore", options);
  }

  /** Runs a stopped one again from its checkpoint, as the next attempt. */
  resume(id: string, options: Asking = {}): Promise<Evaluation> {
    return this.#again(id, "resume", options);
  }

  async delete(id: string, options: Asking = {}): Promise<void> {
    await this.#transport.text({ method: "DELETE", path: evalPath(id), signal: options.signal });
  }

  // ---- stops: the answer's `cancelled` says whether it is proven stopped ----

  /** Asks it to stop at its next checkpoint. */
  cancel(id: string, options: StopOptions = {}): Promise<Cancellation> {
    return this.#stop(`${evalPath(id)}/cancel`, options, {});
  }

  /** SIGTERM, and SIGKILL after the grace. */
  terminate(id: string, options: StopOptions = {}): Promise<Cancellation> {
    return this.#stop(`${evalPath(id)}/cancel`, options, { terminate: true });
  }

  /** Its whole container, at once. */
  kill(id: string, options: StopOptions = {}): Promise<Cancellation> {
    return this.#stop(`${evalPath(id)}/kill`, options, {});
  }

  stop(id: string, mode: Mode, options: StopOptions = {}): Promise<Cancellation> {
    return this[mode](id, options);
  }

  /** Where a task of the broker is, whoever sent it. */
  task(taskId: string, options: Asking = {}): Promise<Task> {
    return this.#json({ method: "GET", path: taskPath(taskId), signal: options.signal });
  }

  cancelTask(
    taskId: string,
    options: StopOptions & { terminate?: boolean; ahead?: boolean } = {},
  ): Promise<Cancellation> {
    const { terminate, ahead } = options;
    return this.#stop(`${taskPath(taskId)}/cancel`, options, { terminate, ahead });
  }

  cancellation(cancellationId: string, options: Asking = {}): Promise<Cancellation> {
    const path = `/api/cancellations/${encodeURIComponent(cancellationId)}`;
    return this.#json({ method: "GET", path, signal: options.signal });
  }

  /** Newest first, page by page as it is read; at most `limit`. */
  async *cancellations(options: CancellationsOptions = {}): AsyncGenerator<Cancellation> {
    yield* this.#pages(options.limit, (cursor, limit) =>
      this.cancellationsPage({ ...options, limit }, cursor),
    );
  }

  async cancellationsPage(
    options: CancellationsOptions = {},
    cursor?: string | null,
  ): Promise<Page<Cancellation>> {
    const { mode, actor, since, limit, signal } = options;
    const answer = await this.#json<{ cancellations: Cancellation[]; next_cursor: string | null }>({
      method: "GET",
      path: "/api/cancellations",
      query: {
        status: commas(options.status),
        mode,
        actor,
        since: isoOf(since),
        limit,
        cursor: cursor ?? undefined,
      },
      signal,
    });
    return { rows: answer.cancellations, cursor: answer.next_cursor };
  }

  /** What was seen of a settled stop, signed: for those who were not there. */
  receipt(cancellationId: string, options: Asking = {}): Promise<Receipt> {
    const path = `/api/cancellations/${encodeURIComponent(cancellationId)}/receipt`;
    return this.#json({ method: "GET", path, signal: options.signal });
  }

  /** The public key that receipts are signed by, as PEM. */
  signer(options: Asking = {}): Promise<string> {
    return this.#transport.text({ method: "GET", path: "/api/signer", signal: options.signal });
  }

  // ---- batches: many stops at one request ----

  /** What that would do; its `preview` executes it, for 15 minutes. */
  previewBatch(request: BatchRequest, options: Asking = {}): Promise<Preview> {
    const body = { ...request, dry_run: true };
    return this.#json({ method: "POST", path: "/api/batches", body, signal: options.signal });
  }

  /** By `ids`, by `selector`, or by the `preview` of one. */
  startBatch(request: BatchRequest, options: Asking = {}): Promise<Batch> {
    return this.#json({ method: "POST", path: "/api/batches", body: request, signal: options.signal });
  }

  batch(batchId: string, options: Asking = {}): Promise<Batch> {
    return this.#json({ method: "GET", path: batchPath(batchId), signal: options.signal });
  }

  /** Newest first, page by page as it is read; at most `limit`. */
  async *batches(options: Asking & { limit?: number | undefined } = {}): AsyncGenerator<Batch> {
    yield* this.#pages(options.limit, async (cursor, limit) => {
      const query = { limit, cursor: cursor ?? undefined };
      const call = { method: "GET" as const, path: "/api/batches", query, signal: options.signal };
      const answer = await this.#json<{ batches: Batch[]; next_cursor: string | null }>(call);
      return { rows: answer.batches, cursor: answer.next_cursor };
    });
  }

  /** What became of each of its evaluations, in the order of their submission. */
  async *batchItems(
    batchId: string,
    options: Asking & { limit?: number | undefined } = {},
  ): AsyncGenerator<BatchItem> {
    const path = `${batchPath(batchId)}/items`;
    yield* this.#pages(options.limit, async (cursor, limit) => {
      const query = { limit, cursor: cursor ?? undefined };
      const call = { method: "GET" as const, path, query, signal: options.signal };
      const answer = await this.#json<{ items: BatchItem[]; next_cursor: string | null }>(call);
      return { rows: answer.items, cursor: answer.next_cursor };
    });
  }

  /** Asks for no more of it; what it asked for stays as it is. */
  cancelBatch(batchId: string, options: Asking = {}): Promise<Batch> {
    return this.#json({ method: "POST", path: `${batchPath(batchId)}/cancel`, signal: options.signal });
  }

  /** Queues again what it took out of the queue, as a batch of its own. */
  undoBatch(batchId: string, options: Asking = {}): Promise<Batch> {
    return this.#json({ method: "POST", path: `${batchPath(batchId)}/undo`, signal: options.signal });
  }

  // ---- policies and sessions: what is stopped by itself ----

  /** All of them, and what each did. For operators and admins. */
  async policies(options: Asking = {}): Promise<Policy[]> {
    const call = { method: "GET" as const, path: "/api/policies", signal: options.signal };
    return (await this.#json<{ policies: Policy[] }>(call)).policies;
  }

  policy(name: string, options: Asking = {}): Promise<Policy> {
    return this.#json({ method: "GET", path: policyPath(name), signal: options.signal });
  }

  createPolicy(request: PolicyRequest, options: ConfirmOptions = {}): Promise<Policy> {
    const { confirm, signal } = options;
    const body = { ...request, ...(confirm && { confirm }) };
    return this.#json({ method: "POST", path: "/api/policies", body, signal });
  }

  enablePolicy(name: string, options: ConfirmOptions = {}): Promise<Policy> {
    const { confirm, signal } = options;
    return this.#json({ method: "POST", path: `${policyPath(name)}/enable`, body: { confirm }, signal });
  }

  disablePolicy(name: string, options: Asking = {}): Promise<Policy> {
    return this.#json({ method: "POST", path: `${policyPath(name)}/disable`, signal: options.signal });
  }

  async deletePolicy(name: string, options: Asking = {}): Promise<void> {
    await this.#transport.text({ method: "DELETE", path: policyPath(name), signal: options.signal });
  }

  /** Whom it would have stopped: one that is there, by its name, or one that is not made yet. */
  simulate(policy: string | PolicyRequest, options: SimulateOptions = {}): Promise<Simulation> {
    const named = typeof policy === "string";
    const path = named ? `${policyPath(policy)}/simulate` : "/api/policies/simulate";
    const query = { since: isoOf(options.since) };
    return this.#json({ method: "POST", path, query, body: named ? undefined : policy, signal: options.signal });
  }

  session(name: string, options: Asking = {}): Promise<Session> {
    return this.#json({ method: "GET", path: sessionPath(name), signal: options.signal });
  }

  /** Takes or renews the lease; without another one within `lease` seconds the session is lost. */
  heartbeat(name: string, options: Asking & { lease?: number | undefined } = {}): Promise<Session> {
    const query = { lease_s: options.lease };
    const path = `${sessionPath(name)}/heartbeat`;
    return this.#json({ method: "POST", path, query, signal: options.signal });
  }

  endSession(name: string, options: Asking = {}): Promise<Session> {
    return this.#json({ method: "POST", path: `${sessionPath(name)}/end`, signal: options.signal });
  }

  // ---- webhooks ----

  /** Who is told what happens, oldest first, and how each fares. */
  async webhooks(options: Asking = {}): Promise<Webhook[]> {
    const call = { method: "GET" as const, path: "/api/webhooks", signal: options.signal };
    return (await this.#json<{ webhooks: Webhook[] }>(call)).webhooks;
  }

  webhook(webhookId: string, options: Asking = {}): Promise<Webhook> {
    return this.#json({ method: "GET", path: webhookPath(webhookId), signal: options.signal });
  }

  /** The answer's `secret` is shown this once. */
  createWebhook(request: WebhookRequest, options: Asking = {}): Promise<NewWebhook> {
    return this.#json({ method: "POST", path: "/api/webhooks", body: request, signal: options.signal });
  }

  /** Sends it one message, now and once: was it `delivered`? */
  testWebhook(webhookId: string, options: Asking = {}): Promise<WebhookTest> {
    return this.#json({ method: "POST", path: `${webhookPath(webhookId)}/test`, signal: options.signal });
  }

  /** A new `secret`, shown this once; the old one signs too for `keepS` seconds (a day). */
  rotateWebhook(webhookId: string, options: Asking & { keepS?: number | undefined } = {}): Promise<NewWebhook> {
    const query = { keep_s: options.keepS };
    return this.#json({ method: "POST", path: `${webhookPath(webhookId)}/rotate`, query, signal: options.signal });
  }

  enableWebhook(webhookId: string, options: Asking = {}): Promise<Webhook> {
    return this.#json({ method: "POST", path: `${webhookPath(webhookId)}/enable`, signal: options.signal });
  }

  disableWebhook(webhookId: string, options: Asking = {}): Promise<Webhook> {
    return this.#json({ method: "POST", path: `${webhookPath(webhookId)}/disable`, signal: options.signal });
  }

  /** What waits for it goes too. */
  async deleteWebhook(webhookId: string, options: Asking = {}): Promise<void> {
    await this.#transport.text({ method: "DELETE", path: webhookPath(webhookId), signal: options.signal });
  }

  // ---- access, for the admin ----

  /** Those in force, oldest first. */
  async keys(options: Asking = {}): Promise<Key[]> {
    const call = { method: "GET" as const, path: "/api/keys", signal: options.signal };
    return (await this.#json<{ keys: Key[] }>(call)).keys;
  }

  createKey(request: KeyRequest, options: Asking = {}): Promise<NewKey> {
    return this.#json({ method: "POST", path: "/api/keys", body: request, signal: options.signal });
  }

  /** What it still reads or waits for ends with it. */
  async revokeKey(keyId: string, options: Asking = {}): Promise<void> {
    const path = `/api/keys/${encodeURIComponent(keyId)}`;
    await this.#transport.text({ method: "DELETE", path, signal: options.signal });
  }

  /** Who tried what, page by page as it is read; at most `limit`. */
  async *audit(options: AuditOptions = {}): AsyncGenerator<AuditRow> {
    yield* this.#pages(options.limit, (cursor, limit) => this.auditPage({ ...options, limit }, cursor));
  }

  async auditPage(options: AuditOptions = {}, cursor?: string | null): Promise<Page<AuditRow>> {
    const { signal, since, ...query } = options;
    const answer = await this.#json<{ rows: AuditRow[]; next_cursor: string | null }>({
      method: "GET",
      path: "/api/audit",
      query: { ...query, since: isoOf(since), cursor: cursor ?? undefined },
      signal,
    });
    return { rows: answer.rows, cursor: answer.next_cursor };
  }

  /**
   * All that was tried, oldest first, as the lines that `quell audit verify` holds to the server's
   * signature: each with its end, as it is kept in a file.
   */
  async *exportAudit(options: Asking = {}): AsyncGenerator<string> {
    const headers = { Accept: "application/x-ndjson" };
    for (let cursor: string | undefined; ; ) {
      const query = { limit: PAGE, cursor };
      const call = { method: "GET" as const, path: "/api/audit", query, headers, signal: options.signal };
      const { text, header } = await this.#transport.page(call, "X-Next-Cursor");
      yield* text.match(/[^\n]+\n/g) ?? [];
      if (!header) return;
      cursor = header;
    }
  }

  /** Who asked for too much. */
  abuse(options: Asking = {}): Promise<Abuse> {
    return this.#json({ method: "GET", path: "/api/abuse", signal: options.signal });
  }

  /** What runs or lies about on the server's host without a record, looked for now. */
  orphans(options: Asking = {}): Promise<Orphans> {
    return this.#json({ method: "GET", path: "/api/orphans", signal: options.signal });
  }

  /** Ends what bears two marks and was found in two looks: a dry run unless `dryRun` is false. */
  reapOrphans(
    options: Asking & { dryRun?: boolean | undefined; limit?: number | undefined } = {},
  ): Promise<Orphans> {
    const body = { dry_run: options.dryRun ?? true, limit: options.limit };
    return this.#json({ method: "POST", path: "/api/orphans/reap", body, signal: options.signal });
  }

  /** What a server that only looks saw of its broker last. */
  observation(options: Asking = {}): Promise<Observation> {
    return this.#json({ method: "GET", path: "/api/observe", signal: options.signal });
  }

  // ---- events, reports, the server ----

  /** What changes, without end; comes back with the last id when the connection breaks. */
  events(options: EventsOptions = {}): AsyncGenerator<QuellEvent> {
    return events(this.#transport, options);
  }

  report(id: string, options: Asking = {}): Promise<Reported> {
    return this.#json({ method: "GET", path: reportPath(id), signal: options.signal });
  }

  putReport(id: string, report: Report, options: Asking = {}): Promise<Reported | Cancellation> {
    const call = { method: "PUT" as const, path: reportPath(id), body: report };
    return this.#json({ ...call, accepts: ["finished-first"], signal: options.signal });
  }

  /** Whether it can do its work, and each dependency; a server that can't says so here, too. */
  ready(options: Asking = {}): Promise<Readiness> {
    return this.#json({ method: "GET", path: "/readyz", accepts: [""], signal: options.signal });
  }

  alive(options: Asking = {}): Promise<{ status: "ok"; version: string }> {
    return this.#json({ method: "GET", path: "/healthz", signal: options.signal });
  }

  /** All counters and gauges, in the text format of Prometheus. */
  metrics(options: Asking = {}): Promise<string> {
    const headers = { Accept: "text/plain" };
    return this.#transport.text({ method: "GET", path: "/metrics", headers, signal: options.signal });
  }

  // ---- how it is carried ----

  #json<Answer>(call: Call): Promise<Answer> {
    return this.#transport.json<Answer>(call);
  }

  #again(id: string, verb: "restore" | "resume", options: Asking): Promise<Evaluation> {
    return this.#json({ method: "POST", path: `${evalPath(id)}/${verb}`, signal: options.signal });
  }

  /** A refusal because it finished first has all of a cancellation's members, and a problem's. */
  async #stop(
    path: string,
    options: StopOptions,
    more: Record<string, boolean | undefined>,
  ): Promise<Cancellation> {
    const { grace, escalate, reason, wait, confirm, attempt, signal } = options;
    const answer = await this.#json<Cancellation & Record<string, unknown>>({
      method: "POST",
      path,
      body: { grace, escalate, reason, wait, confirm, ...more },
      headers: { "If-Match": attempt ? `"attempt-${attempt}"` : undefined },
      hold: wait ?? 1,
      accepts: ["finished-first"],
      signal,
    });
    const { type: _type, title: _title, status: _status, detail: _detail, ...stopped } = answer;
    return stopped as Cancellation;
  }

  async #wait(id: string, options: WaitOptions): Promise<Evaluation> {
    const until = options.timeout === undefined ? Infinity : Date.now() + options.timeout * 1000;
    const patience = new Patience(this.#transport.patience);
    for (;;) {
      const left = Math.max(0, (until - Date.now()) / 1000);
      const seen = await this.#hold(id, Math.min(left, LONGEST_HOLD), patience, options.signal);
      if (seen && hasEnded(seen.status)) return seen;
      if (Date.now() >= until)
        throw new WaitTimeout(`${id} is still ${seen?.status ?? "unknown"} after ${options.timeout} s`);
    }
  }

  /** One look that the server may hold; undefined when it is away. */
  async #hold(
    id: string,
    wait: number,
    patience: Patience,
    signal: AbortSignal | undefined,
  ): Promise<Evaluation | undefined> {
    try {
      const seen = await this.get(id, { wait, signal });
      patience.came();
      return seen;
    } catch (error) {
      const ms = error instanceof Unreachable ? patience.next() : undefined;
      if (ms === undefined) throw error;
      await pause(ms, signal);
      return undefined;
    }
  }

  async #abandon(id: string, how: "leave" | Mode): Promise<void> {
    if (how !== "leave") await this.stop(id, how, { reason: "the client's signal aborted" });
  }

  async *#pages<Row>(
    limit: number | undefined,
    ask: (cursor: string | null, limit: number) => Promise<Page<Row>>,
  ): AsyncGenerator<Row> {
    let left = limit ?? Infinity;
    let cursor: string | null = null;
    while (left > 0) {
      const page: Page<Row> = await ask(cursor, Math.min(left, PAGE));
      yield* page.rows;
      left -= page.rows.length;
      cursor = page.cursor;
      if (!cursor) return;
    }
  }
}

function evalPath(id: string): string {
  return `/api/eval/${encodeURIComponent(id)}`;
}

function webhookPath(webhookId: string): string {
  return `/api/webhooks/${encodeURIComponent(webhookId)}`;
}

function batchPath(batchId: string): string {
  return `/api/batches/${encodeURIComponent(batchId)}`;
}

function policyPath(name: string): string {
  return `/api/policies/${encodeURIComponent(name)}`;
}

function sessionPath(name: string): string {
  return `/api/sessions/${encodeURIComponent(name)}`;
}

function taskPath(taskId: string): string {
  return `/api/task/${encodeURIComponent(taskId)}`;
}

function reportPath(id: string): string {
  return `/evaluations/${encodeURIComponent(id)}`;
}

function isoOf(time: string | Date | undefined): string | undefined {
  return time instanceof Date ? time.toISOString() : time;
}

/** The words by which a list and a count say which are meant. */
function meant({ status, owner, label, selector }: ListOptions): NonNullable<Call["query"]> {
  return { status: commas(status), owner, label: label?.join("="), selector };
}

function commas(status: Status | readonly Status[] | undefined): string | undefined {
  return typeof status === "object" ? status.join(",") : status;
}
