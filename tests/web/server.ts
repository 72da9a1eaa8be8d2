/** A real server on a free loopback port, with a data folder of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Quell, type Settings } from "quell-client";

export const TOP = process.env["QUELL_TOP"] ?? process.cwd();
export const BUILD = process.env["QUELL_BUILD"] ?? join(TOP, "build");
const QUELL = join(BUILD, "quell");

export class Server {
  readonly data = mkdtempSync(join(tmpdir(), "quell-web-"));
  readonly flags: string[];
  readonly log: string[] = [];
  url = "";
  key = "";
  #process: ChildProcess | undefined;
  #port = 0;

  constructor(flags: string[] = [], owners: Record<string, string> = {}) {
    this.flags = flags;
    const lines = Object.entries(owners).map(([owner, key]) => `${owner} ${key}\n`);
    if (!lines.length) return;
    writeFileSync(join(this.data, "users.keys"), lines.join(""));
    chmodSync(join(this.data, "users.keys"), 0o600);
  }

  /** Starts it; again on the same port and folder after an end. */
  async start(): Promise<this> {
    const listen = `127.0.0.1:${this.#port}`;
    const serve = [QUELL, "serve", "--listen", listen, "--data", this.data, ...this.flags];
    const environment = Object.entries(process.env).filter(([name]) => !/^(QUELL|CELERY)_/.test(name));
    // A test that is killed takes its server along.
    this.#process = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...serve], {
      env: Object.fromEntries(environment),
      stdio: ["ignore", "ignore", "pipe"],
    });
    for await (const line of createInterface({ input: this.#process.stderr! })) {
      this.log.push(line);
      this.url = /is ready at (http:\S+)/.exec(line)?.[1] ?? "";
      if (this.url) break;
    }
    if (!this.url) throw new Error(`the server ended: ${this.log.join("\n")}`);
    this.#process.stderr!.resume();
    this.#port = Number(new URL(this.url).port);
    this.key = readFileSync(join(this.data, "admin.key"), "ascii").trim();
    return this;
  }

  client(settings: Settings = {}): Quell {
    return new Quell({ url: this.url, key: this.key, ...settings });
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }

  /** Ends it with all of its runs. */
  async close(): Promise<void> {
    if (!this.#process) await this.start();
    const quell = this.client();
    const selector = "status in (queued,running,cancelling,unconfirmed)";
    const live = async () => (await quell.count({ selector })).count;
    if (await live()) {
      await quell.startBatch({ selector, mode: "kill", confirm: true });
      await eventually(async () => (await live()) === 0, "all runs to end", 60);
    }
    await this.end();
    rmSync(this.data, { recursive: true, force: true });
  }
}

/** Looks until it finds something, and returns that. */
export async function eventually<Seen>(
  look: () => Promise<Seen | undefined | null | false>,
  what: string,
  seconds = 30,
): Promise<Seen> {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > until) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Until it has said this; its output up to there. */
export async function untilOutput(quell: Quell, id: string, text: string): Promise<string> {
  const decoder = new TextDecoder();
  let said = "";
  for await (const piece of quell.follow(id)) {
    said += decoder.decode(piece, { stream: true });
    if (said.includes(text)) return said;
  }
  throw new Error(`the output of ${id} ended without ${text}: ${said}`);
}
