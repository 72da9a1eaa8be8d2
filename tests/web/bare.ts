/**
 * Chromium with nobody looking: what opens a tab here asks for nothing of what a debugger may watch. Playwright has each
 * request's stack recorded and puts scripts of its own into the page, which takes longer than the page itself.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { EXECUTABLE, FLAGS } from "./browser.js";

type Metrics = { metrics: { name: string; value: number }[] };
type Answer = (said: { result?: unknown; error?: { message: string } }) => void;

export class Bare {
  readonly #folder = mkdtempSync(join(tmpdir(), "quell-bare-"));
  readonly #waiting = new Map<number, Answer>();
  readonly #process: ChildProcess;
  readonly #orders: Writable;
  #last = 0;

  constructor() {
    const flags = [...FLAGS, "--headless", "--hide-scrollbars", "--remote-debugging-pipe", `--user-data-dir=${this.#folder}`];
    this.#process = spawn("setpriv", ["--pdeathsig", "KILL", "--", EXECUTABLE, ...flags], {
      env: { ...process.env, HOME: this.#folder },
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    this.#orders = this.#process.stdio[3] as Writable;
    this.#listen(this.#process.stdio[4] as Readable);
  }

  /** What `look`, begun in a page before the page itself, gives in the end; and the ms that its thread worked for it. */
  async measure<Seen>(url: string, look: () => Promise<Seen>): Promise<{ seen: Seen; cpu: number }> {
    const { browserContextId } = await this.#ask<{ browserContextId: string }>("Target.createBrowserContext");
    const created = { url: "about:blank", browserContextId, width: 1440, height: 900 };
    const { targetId } = await this.#ask<{ targetId: string }>("Target.createTarget", created);
    const { sessionId } = await this.#ask<{ sessionId: string }>("Target.attachToTarget", { targetId, flatten: true });
    await this.#ask("Page.enable", {}, sessionId);
    await this.#ask("Performance.enable", { timeDomain: "threadTicks" }, sessionId);
    const before = await this.#worked(sessionId);
    await this.#ask("Page.addScriptToEvaluateOnNewDocument", { source: `window.seen = (${look})()` }, sessionId);
    await this.#ask("Page.navigate", { url }, sessionId);
    const asked = { expression: "window.seen", awaitPromise: true, returnByValue: true };
    const { result } = await this.#ask<{ result: { value: Seen } }>("Runtime.evaluate", asked, sessionId);
    const cpu = (await this.#worked(sessionId)) - before;
    await this.#ask("Target.disposeBrowserContext", { browserContextId });
    return { seen: result.value, cpu };
  }

  async #worked(sessionId: string): Promise<number> {
    const { metrics } = await this.#ask<Metrics>("Performance.getMetrics", {}, sessionId);
    return 1000 * metrics.find(({ name }) => name === "TaskDuration")!.value;
  }

  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    await this.#ask("Browser.close");
    await gone;
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #ask<Result>(method: string, params: object = {}, sessionId?: string): Promise<Result> {
    const id = ++this.#last;
    this.#orders.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) =>
        error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result as Result),
      );
    });
  }

  /** Messages end with a zero. */
  #listen(said: Readable): void {
    let text = "";
    said.setEncoding("utf8");
    said.on("data", (piece: string) => {
      const messages = (text + piece).split("\0");
      text = messages.pop()!;
      for (const message of messages) {
        const { id, ...answer } = JSON.parse(message) as { id?: number };
        if (id === undefined) continue;
        this.#waiting.get(id)?.(answer);
        this.#waiting.delete(id);
      }
    });
  }
}
