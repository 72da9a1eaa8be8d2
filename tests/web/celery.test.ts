/** The page beside an unmodified Celery: real Redis, workers and Docker; who can't be stopped how, and why. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { get } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import type { Cancellation } from "quell-client";
import { Browser } from "./browser.js";
import { eventually, Server, TOP } from "./server.js";

interface Deployed {
  missing?: string;
  broker: string;
  docker: string | null;
  no_docker: string | null;
  workers: string[];
}

/** All of it ends with its input, also where this test is killed. */
async function deploy(): Promise<[ChildProcess, Deployed]> {
  const child = spawn("/usr/bin/python3", [join(TOP, "tests/web/deployment.py")], { stdio: ["pipe", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout! })) return [child, JSON.parse(line) as Deployed];
  throw new Error("the deployment did not start");
}

function askDocker(host: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = get({ socketPath: host.replace("unix://", ""), path }, (answer) => {
      let text = "";
      answer.setEncoding("latin1");
      answer.on("data", (piece: string) => (text += piece));
      answer.on("end", () => resolve(text));
    });
    asked.on("error", reject);
  });
}

/** Whether the container of that evaluation has said what it has to say. */
async function spoke(host: string, id: string): Promise<boolean> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`quell.eval_id=${id}`] }));
  const [found] = JSON.parse(await askDocker(host, `/containers/json?filters=${filters}`)) as { Id: string }[];
  return found !== undefined && (await askDocker(host, `/containers/${found.Id}/logs?stdout=1`)).includes("is boxed");
}

const [child, deployed] = await deploy();
const ended = new Promise((resolve) => child.once("exit", resolve));
if (deployed.missing) {
  test("the page beside Celery", { skip: deployed.missing }, () => undefined);
} else {
  const docker = deployed.docker ? ["--docker-host", deployed.docker] : [];
  const server = await new Server(["--broker", deployed.broker, ...docker]).start();
  const browser = await new Browser().start();
  after(async () => {
    await browser.close();
    await server.close();
    child.stdin!.end();
    await ended;
    assert.deepEqual(browser.complaints, []);
  });
  plays(server, browser);
}

function plays(server: Server, browser: Browser): void {
  const quell = server.client();

  async function running(code: string, more: object = {}): Promise<{ page: Page; id: string }> {
    const { eval_id: id } = await quell.submit({ code, language: "python", ...more });
    await eventually(async () => (await quell.get(id)).status === "running", `${id} to run`);
    const page = await browser.open(server, `#/eval/${id}`);
    await page.getByText("Its program runs.").waitFor();
    return { page, id };
  }

  const proof = (page: Page) => page.getByRole("region", { name: "Proof" });

  test("what waits for a worker is taken out of the queue, and put back by Undo", async () => {
    const page = await browser.open(server, "#/submit");
    await page.getByLabel("Code").fill("polite");
    await page.getByLabel("Queue").fill("nobodys");
    await page.getByRole("button", { name: "Submit" }).click();
    await page.getByText("It waits in the queue.").waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await proof(page).getByText("Taken out of the queue before it started.").waitFor();
    await proof(page).getByRole("list", { name: "Evidence: verified" }).waitFor();
    await proof(page).getByRole("button", { name: "Undo" }).click();
    await page.getByText("It waits in the queue.").waitFor();
    const id = (await page.getByRole("heading", { level: 1 }).textContent())!;
    assert.equal((await quell.task(`celery-${id}~2`)).place, "queued");
    await quell.cancel(id, { wait: 30 });
    await page.context().close();
  });

  test("one that runs shows its worker, and Cancel waits until it stops by itself", async () => {
    const { page, id } = await running("polite");
    await page.getByRole("complementary").getByText(deployed.workers[0]!).waitFor();
    await page.getByText("Its worker keeps what the task itself prints").waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    const choice = page.getByRole("region", { name: "How to stop it" });
    for (const name of ["Cancel", "Force Stop", "Kill Container"])
      assert.equal(await choice.getByRole("button", { name }).isDisabled(), false);
    await choice.getByRole("button", { name: "Cancel" }).click();
    await proof(page).getByText("The program stopped by itself when asked.").waitFor();
    assert.equal((await quell.get(id)).state, "REVOKED");
    await page.context().close();
  });

  test("a Cancel that nobody heeds is waited for, hurried from its ladder, and its proof is taken along", async () => {
    const { page, id } = await running("rude");
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("region", { name: "How to stop it" }).getByRole("button", { name: "Cancel" }).click();
    const ladder = page.getByRole("region", { name: "Stop under way" });
    await ladder.getByText("It was asked to stop at its next checkpoint, and is waited for.").waitFor();
    await ladder.locator(".countdown").waitFor();
    await ladder.getByRole("button", { name: "Force Stop" }).click();
    await proof(page).getByRole("heading", { name: "Stopped, and proven" }).waitFor();
    await proof(page).getByRole("button", { name: "Copy as JSON" }).click();
    await proof(page).getByRole("button", { name: "Copied" }).waitFor();
    const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText())) as Cancellation;
    const { cancellation } = await quell.get(id);
    assert.deepEqual([copied.cancellation_id, copied.evidence], [cancellation!.cancellation_id, "verified"]);
    await page.context().close();
  });

  test("many are foreseen, stopped where they are, and put back where they waited", async () => {
    const { page } = await running("polite", { eval_id: "many-runs" });
    for (const n of [1, 2, 3]) await quell.submit({ eval_id: `many-${n}`, code: "polite", language: "python", queue: "nobodys" });
    await page.evaluate(() => (location.hash = "#/batches"));
    await page.getByLabel("Selector").fill("eval_id=many-*");
    await page.getByRole("button", { name: "See what that would do" }).click();
    await page.getByRole("heading", { name: "It would remove 3, ask 1." }).waitFor();
    await page.getByRole("button", { name: "Stop 4" }).click();
    await page.getByRole("row").filter({ hasText: "many-runs" }).getByText("stopped", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Undo: queue 3 again" }).click();
    await page.getByText("queued again").first().waitFor();
    for (const n of [1, 2, 3])
      await eventually(async () => (await quell.task(`celery-many-${n}~2`)).place === "queued", `many-${n} to be queued`);
    for (const n of [1, 2, 3]) await quell.cancel(`many-${n}`, { wait: 30 });
    await page.context().close();
  });

  test("Force Stop ends one that never looks, with the evidence of its worker", async () => {
    const { page } = await running("rude");
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Force Stop" }).click();
    await proof(page).getByRole("heading", { name: "Stopped, and proven" }).waitFor();
    await proof(page).getByText("Ended by SIGTERM.").waitFor();
    await page.context().close();
  });

  test("Kill Container ends the container that a task started, and keeps what it wrote", async (t: TestContext) => {
    if (deployed.no_docker) return t.skip(deployed.no_docker);
    const { page, id } = await running("boxed", { eval_id: "in-a-box" });
    await eventually(() => spoke(deployed.docker!, id), "its container to speak");
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Kill Container" }).click();
    await proof(page).getByRole("heading", { name: "Stopped, and proven" }).waitFor();
    await proof(page).getByText("Ended by SIGKILL.").waitFor();
    await page.locator(".text").getByText("in-a-box is boxed").waitFor();
    await page.context().close();
  });

  test("what a thread's worker can't do is disabled, with the reason", async () => {
    const { page, id } = await running("polite", { queue: "threads" });
    await page.getByRole("button", { name: "Cancel" }).click();
    const choice = page.getByRole("region", { name: "How to stop it" });
    await choice.getByText(/^It can't work here: a thread can't be ended from outside/).first().waitFor();
    assert.equal(await choice.getByRole("button", { name: "Force Stop" }).isDisabled(), true);
    assert.equal(await choice.getByRole("button", { name: "Kill Container" }).isDisabled(), deployed.docker === null);
    await choice.getByRole("button", { name: "Cancel" }).click();
    await proof(page).getByText("The program stopped by itself when asked.").waitFor();
    assert.equal((await quell.get(id)).status, "cancelled");
    await page.context().close();
  });

  test("health names the broker and the workers that have something", async () => {
    const { page, id } = await running("polite");
    await page.evaluate(() => (location.hash = "#/health"));
    await page.getByRole("rowheader", { name: deployed.workers[0]! }).waitFor();
    await page.getByRole("listitem").filter({ hasText: "broker" }).getByText("ok", { exact: true }).waitFor();
    await quell.terminate(id, { wait: 30 });
    await page.context().close();
  });
}
