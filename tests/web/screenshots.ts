/** Makes docs/images from a real server with real evaluations, at two widths, light and dark. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { EXAMPLES } from "../../web/src/examples.js";
import { Browser } from "./browser.js";
import { eventually, Server, TOP, untilOutput } from "./server.js";

const FOLDER = process.env["QUELL_IMAGES"] ?? join(TOP, "docs/images");
const SIZES = { wide: { width: 1440, height: 860 }, narrow: { width: 390, height: 844 } };
const OWNERS = { alice: "key-of-alice-0123456789", bob: "key-of-bob-0123456789" };

const server = await new Server(["--workers", "8"], OWNERS).start();
const browser = await new Browser().start();
const quell = server.client();

async function example(name: string, more: object = {}): Promise<string> {
  const { submission } = EXAMPLES.find((found) => found.name === name)!;
  const made = await quell.submit({ ...submission, ...more });
  return made.eval_id;
}

/** Ends of every kind, then some that run, and some that wait. */
async function furnish(): Promise<{ stopping: string; proven: string; running: string }> {
  const alice = server.client({ key: OWNERS.alice });
  const done = [];
  for (let i = 0; i < 40; i++) {
    const code = `import time; time.sleep(${(i % 7) / 20}); print(${i}); raise SystemExit(${i % 5 ? 0 : 3})`;
    done.push(alice.submit({ eval_id: `grade-${1000 + i}`, code, language: "python", labels: { course: "cs101" } }));
  }
  for (const made of await Promise.all(done)) await alice.waitFor(made.eval_id);
  for (let i = 0; i < 12; i++) {
    const id = await example(i % 3 ? "Counts to 60" : "Leaves children", { eval_id: `nightly-${i}`, grace_s: 1 });
    await untilOutput(quell, id, i % 3 ? "1 of" : "lives");
    await quell.stop(id, i % 2 ? "kill" : "terminate", { wait: 20 });
  }
  const proven = await example("Refuses to die", { eval_id: "runaway-7", grace_s: 1 });
  await untilOutput(quell, proven, "still here");
  await quell.terminate(proven, { wait: 30, reason: "used up its budget" });
  const saved = await example("Checkpoints", { eval_id: "train-resnet" });
  await untilOutput(quell, saved, "step 2");
  await quell.cancel(saved, { wait: 30 });
  const long = EXAMPLES[0]!.submission.code!.replace("61", "601").replace("of 60", "of 600");
  const running = await example("Counts to 60", { eval_id: "simulate-42", code: long, labels: { team: "physics" } });
  await example("Counts to 60", { eval_id: "train-bert", code: long, labels: { team: "nlp" } });
  for (let i = 0; i < 5; i++) await example("Counts to 60", { eval_id: `sweep-${i}`, code: long, labels: { sweep: "lr" } });
  const stopping = await example("Refuses to die", { eval_id: "runaway-8", grace_s: 900 });
  await untilOutput(quell, stopping, "still here");
  await quell.terminate(stopping, { wait: 0 });
  for (let i = 0; i < 9; i++) await example("Counts to 60", { eval_id: `queued-${i}`, priority: 1 });
  await untilOutput(quell, running, "5 of");
  return { stopping, proven, running };
}

async function settle(page: Page): Promise<void> {
  await page.locator(".link-live").waitFor();
  await page.evaluate(() => document.fonts.ready);
}

async function showHealth(page: Page): Promise<void> {
  await page.getByLabel("The last").selectOption("15 minutes");
  await page.locator(".chart canvas").waitFor();
}

/** Rules of some kinds, and what one of them would have stopped. */
async function rule(): Promise<void> {
  const slow = { kind: "run_deadline", after_s: 0.2 } as const;
  await quell.createPolicy({ name: "no-stragglers", selector: "label.course=cs101", trigger: slow, mode: "terminate", grace_s: 5 });
  await quell.createPolicy({ name: "closed-notebooks", selector: "priority>=0", trigger: { kind: "session_ended" }, mode: "kill" });
  const full = { kind: "overload", measure: "queue_depth", high: 1000, low: 800 } as const;
  await quell.createPolicy({ name: "queue-full", selector: "priority<5", trigger: full, enabled: false });
}

async function showPolicies(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Simulate no-stragglers" }).click();
  await page.getByRole("region", { name: "Whom it would have stopped" }).waitFor();
  await page.getByRole("button", { name: "Make it" }).waitFor();
}

async function shoot(): Promise<void> {
  const ids = await furnish();
  const selector = "status in (queued,running),label.sweep=lr";
  const { batch_id: batch } = await quell.previewBatch({ selector, mode: "terminate" });
  for (const owner of ["alice", "grader", "nightly"]) await quell.createKey({ owner, name: `${owner}'s laptop` });
  await rule();
  const VIEWS: [string, string, (page: Page) => Promise<unknown>][] = [
    ["list", "#/", (page) => page.getByRole("link", { name: ids.stopping }).waitFor()],
    ["submit", "#/submit", (page) => page.locator("#code").waitFor()],
    ["decision", `#/eval/${ids.running}`, (page) => page.getByRole("button", { name: "Cancel" }).click()],
    ["ladder", `#/eval/${ids.stopping}`, (page) => page.locator(".countdown").waitFor()],
    ["proof", `#/eval/${ids.proven}`, (page) => page.getByText("Stopped, and proven").waitFor()],
    ["batch", `#/batch/${batch}`, (page) => page.getByText("Nothing was done yet.").waitFor()],
    ["policies", "#/policies", showPolicies],
    ["health", "#/health", showHealth],
    ["access", "#/access", (page) => page.getByRole("region", { name: "What was tried" }).waitFor()],
  ];
  mkdirSync(FOLDER, { recursive: true });
  for (const [size, viewport] of Object.entries(SIZES))
    for (const colorScheme of ["light", "dark"] as const) {
      for (const [name, at, look] of VIEWS) {
        const page = await browser.open(server, at, { viewport, colorScheme });
        await settle(page);
        await look(page);
        await eventually(() => page.evaluate(() => document.querySelector(".text")?.textContent !== ""), "output");
        await page.screenshot({ path: join(FOLDER, `${name}-${size}-${colorScheme}.png`) });
        await page.context().close();
      }
    }
}

try {
  await shoot();
} finally {
  if (browser.complaints.length) console.error(browser.complaints.join("\n"));
  await browser.close();
  await server.close();
}
