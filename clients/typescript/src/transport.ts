/** How a call travels: one fetch, its time-out, and what a refusal becomes. */
import { QuellError, Refused, Unreachable } from "./errors.js";
import type { Problem } from "./types.js";

export interface Settings {
  /** "http://127.0.0.1:8080"; where it is left out, the page's own origin. */
  url?: string | undefined;
  key?: string | undefined;
  /** Seconds for an answer, besides what the server was asked to hold it. */
  timeout?: number | undefined;
  /** Seconds for which waits, followed outputs and events go on without an answer. */
  patience?: number | undefined;
  fetch?: typeof fetch | undefined;
}

export interface Call {
  method: "GET" | "POST" | "PUT" | "DELETE";
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  headers?: Record<string, string | undefined>;
  signal?: AbortSignal | undefined;
  /** Seconds that the server was asked to hold the answer; Infinity for a stream. */
  hold?: number | undefined;
  /** Refusals, by kind, that are an answer here. */
  accepts?: readonly string[];
}

export class Transport {
  readonly url: string;
  readonly patience: number;
  readonly #key: string | undefined;
  readonly #timeout: number;
  readonly #fetch: typeof fetch;
  /** What to do once an answer is read to its end. */
  readonly #open = new WeakMap<Response, () => void>();

  constructor(settings: Settings) {
    this.url = (settings.url ?? globalThis.location?.origin ?? "").replace(/\/+$/, "");
    if (!this.url) throw new QuellError("a server's url is needed: new Quell({ url, key })");
    this.patience = settings.patience ?? 30;
    this.#key = settings.key;
    this.#timeout = settings.timeout ?? 30;
    this.#fetch = settings.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** The answer, once its headers are there; a refusal is thrown. */
  async ask(call: Call): Promise<Response> {
    const deadline = deadlineOf(this.#timeout + (call.hold ?? 0), call.signal);
    try {
      const response = await this.#fetch(this.url + call.path + queryOf(call.query), {
        method: call.method,
        headers: this.#headers(call),
        body: call.body === undefined ? null : JSON.stringify(call.body),
        signal: deadline.signal,
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
      });
      await refuse(response, call.accepts ?? []);
      deadline.begun();
      this.#open.set(response, deadline.over);
      return response;
    } catch (error) {
      deadline.over();
      throw this.#explain(error, call.signal);
    }
  }

  async json<Answer>(call: Call): Promise<Answer> {
    const response = await this.ask(call);
    return this.#read(call, response, () => response.json() as Promise<Answer>);
  }

  async bytes(call: Call): Promise<Uint8Array> {
    const response = await this.ask(call);
    return this.#read(call, response, async () => new Uint8Array(await response.arrayBuffer()));
  }

  async text(call: Call): Promise<string> {
    const response = await this.ask(call);
    return this.#read(call, response, () => response.text());
  }

  /** Its text, and a header that says where the next one begins. */
  async page(call: Call, name: string): Promise<{ text: string; header: string | null }> {
    const response = await this.ask(call);
    const text = await this.#read(call, response, () => response.text());
    return { text, header: response.headers.get(name) };
  }

  async #read<Body>(call: Call, response: Response, read: () => Promise<Body>): Promise<Body> {
    try {
      return await read();
    } catch (error) {
      throw this.#explain(error, call.signal);
    } finally {
      this.#open.get(response)?.();
    }
  }

  /** The answer's bytes as they come. A broken connection is Unreachable. */
  async *pieces(response: Response, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader();
    if (!reader) return;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        yield value;
      }
    } catch (error) {
      throw this.#explain(error, signal);
    } finally {
      await reader.cancel().catch(() => undefined);
      this.#open.get(response)?.();
    }
  }

  #headers(call: Call): Record<string, string> {
    const headers: Record<string, string> = {};
    if (this.#key) headers["Authorization"] = `Bearer ${this.#key}`;
    if (call.body !== undefined) headers["Content-Type"] = "application/json";
    for (const [name, value] of Object.entries(call.headers ?? {}))
      if (value !== undefined) headers[name] = value;
    return headers;
  }

  #explain(error: unknown, signal: AbortSignal | undefined): unknown {
    if (error instanceof QuellError) return error;
    if (signal?.aborted) return signal.reason;
    const why = error instanceof Error ? (causeOf(error) ?? error.message) : String(error);
    return new Unreachable(`${this.url} did not answer (${why}); is the server running?`, {
      cause: error,
    });
  }
}

function causeOf(error: Error): string | undefined {
  return error.cause instanceof Error ? error.cause.message : undefined;
}

function queryOf(query: Call["query"]): string {
  const words = Object.entries(query ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, String(value)]);
  return words.length ? "?" + new URLSearchParams(words) : "";
}

/**
 * Aborts with the caller's signal, until the answer is over, or when the time passed before it began.
 */
function deadlineOf(seconds: number, signal: AbortSignal | undefined) {
  const controller = new AbortController();
  const follow = () => controller.abort(signal?.reason);
  const late = () => controller.abort(new Error(`no answer within ${seconds} s`));
  const timer = Number.isFinite(seconds) ? setTimeout(late, seconds * 1000) : undefined;
  if (signal?.aborted) follow();
  signal?.addEventListener("abort", follow);
  const begun = () => clearTimeout(timer);
  const over = () => {
    begun();
    signal?.removeEventListener("abort", follow);
  };
  return { signal: controller.signal, begun, over };
}

async function refuse(response: Response, accepts: readonly string[]): Promise<void> {
  if (response.ok) return;
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.startsWith("application/problem+json")) {
    if (accepts.includes("")) return;
    const text = (await response.text()).slice(0, 500);
    throw new Refused(response.status, { detail: `the server answered ${response.status}: ${text}` });
  }
  const kind = accepts.length ? ((await response.clone().json()) as Problem).type : "";
  if (accepts.includes(kind.replace(/^.*:/, ""))) return;
  const after = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const problem = (await response.json()) as Problem;
  throw new Refused(response.status, problem, Number.isNaN(after) ? undefined : after);
}
