/** The decision, the ladder and the proof, on programs that heed, refuse and fork. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Server, untilOutput } from "./server.js";
import { begin, stage } from "./stage.js";

const { server, browser } = await stage(["--workers", "3"]);
const idle = await new Server(["--workers", "0"]).start();
after(() => idle.close());

const WAITING = { code: "print(1)", language: "python" };

test("what is queued is gone at once, and comes back by Undo", async () => {
  const made = await idle.client().submit(WAITING);
  const page = await browser.open(idle, `#/eval/${made.eval_id}`);
  await page.getByRole("button", { name: "Cancel" }).click();
  const proof = page.getByRole("region", { name: "Proof" });
  await proof.getByText("Taken out of the queue before it started.").waitFor();
  assert.equal((await idle.client().get(made.eval_id)).cancellation!.outcome, "removed");
  await proof.getByRole("button", { name: "Undo" }).click();
  await page.getByText("It waits in the queue.").waitFor();
  const again = await idle.client().get(made.eval_id);
  assert.deepEqual([again.status, again.attempt], ["queued", 2]);
  await page.context().close();
});

test("the list cancels what is queued, and takes it back", async () => {
  const made = await idle.client().submit({ ...WAITING, eval_id: "in-the-list" });
  const page = await browser.open(idle);
  await page.getByRole("button", { name: `Cancel ${made.eval_id}` }).click();
  await page.getByRole("status").getByRole("button", { name: "Undo" }).click();
  await page.getByRole("button", { name: `Cancel ${made.eval_id}` }).waitFor();
  assert.equal((await idle.client().get(made.eval_id)).attempt, 2);
  await page.context().close();
});

test("Cancel waits for the checkpoint, and Resume goes on from it", async () => {
  const id = await begin(server, "Checkpoints", "step 2");
  const page = await browser.open(server, `#/eval/${id}`);
  await page.getByRole("button", { name: "Cancel" }).click();
  const choice = page.getByRole("region", { name: "How to stop it" });
  await choice.getByLabel("Reason").fill("enough for today");
  await choice.getByRole("button", { name: "Cancel" }).click();
  const proof = page.getByRole("region", { name: "Proof" });
  await proof.getByText("The program stopped by itself when asked.").waitFor();
  await proof.getByText("enough for today").waitFor();
  await page.locator(".text").getByText("saved at step").waitFor();
  await page.getByRole("button", { name: "Resume from its checkpoint" }).click();
  await page.locator(".text").getByText(/begins at step ([2-9]|\d\d)/).waitFor();
  await page.getByLabel("Attempt").selectOption("1");
  await page.locator(".text").getByText("begins at step 0").waitFor();
  await server.client().kill(id, { wait: 30 });
  await page.context().close();
});

test("Force Stop climbs its ladder with a countdown, and is hurried to the proof", async () => {
  const id = await begin(server, "Refuses to die", "still here", { grace_s: 300 });
  const page = await browser.open(server, `#/eval/${id}`);
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Force Stop" }).click();
  const ladder = page.getByRole("region", { name: "Stop under way" });
  await page.getByRole("listitem").filter({ hasText: /then kill in 300 s/ }).waitFor();
  await ladder.getByText(/SIGKILL to the container in \d+ (s|min)/).waitFor();
  assert.match((await ladder.locator('[aria-current="step"]').textContent())!, /SIGTERM/);
  assert.equal(await ladder.getByRole("button", { name: "Force Stop" }).isDisabled(), true);
  await page.locator(".text").getByText("SIGTERM? No.").waitFor();
  await ladder.getByRole("button", { name: "Kill Container" }).click();
  const proof = page.getByRole("region", { name: "Proof" });
  await proof.getByRole("heading", { name: "Stopped, and proven" }).waitFor();
  await proof.getByText("Ended by SIGKILL.").waitFor();
  await proof.getByRole("list", { name: "Evidence: verified" }).waitFor();
  await page.getByRole("definition").getByText("SIGKILL").waitFor();
  await proof.getByRole("button", { name: "Copy as JSON" }).click();
  await proof.getByRole("button", { name: "Copied" }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  const { cancellation } = await server.client().get(id);
  assert.equal(JSON.parse(copied).evidence, "verified");
  assert.equal(JSON.parse(copied).cancellation_id, cancellation!.cancellation_id);
  await page.context().close();
});

test("a Cancel that nobody heeds waits, and can be hurried", async () => {
  const id = await begin(server, "Refuses to die", "still here");
  const page = await browser.open(server, `#/eval/${id}`);
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("region", { name: "How to stop it" }).getByRole("button", { name: "Cancel" }).click();
  const ladder = page.getByRole("region", { name: "Stop under way" });
  await ladder.getByText("It was asked to stop at its next checkpoint, and is waited for.").waitFor();
  await ladder.getByRole("button", { name: "Kill Container" }).click();
  await page.getByRole("heading", { name: "Stopped, and proven" }).waitFor();
  await page.context().close();
});

test("what finished first is not called stopped", async () => {
  const quell = server.client();
  const code = "import os, time\nprint('ready', flush=True)\nwhile not os.path.exists(os.environ['QUELL_CANCEL']): time.sleep(0.01)";
  const made = await quell.submit({ code, language: "python" });
  await untilOutput(quell, made.eval_id, "ready");
  await quell.cancel(made.eval_id, { wait: 30 });
  const page = await browser.open(server, `#/eval/${made.eval_id}`);
  await page.getByRole("heading", { name: "It finished first" }).waitFor();
  await page.locator(".evaluation-head .s-succeeded").waitFor();
  await page.context().close();
});

test("health shows the stops that were, what they cost, what failed, and what the server depends on", async () => {
  const quell = server.client();
  await quell.run({ code: "raise SystemExit(3)", language: "python" });
  const page = await browser.open(server, "#/health");
  await page.getByText("Ready: submits and stops are taken").waitFor();
  await page.getByRole("heading", { name: /^Kill Container/ }).waitFor();
  await page.locator(".chart canvas").waitFor();
  const half = await page.locator(".tile").filter({ hasText: "Half stop within" }).locator("b").textContent();
  assert.match(half!, /^[\d.]+ (ms|s)$/);
  let timed = 0;
  for await (const stop of quell.cancellations()) timed += stop.stop_ms === null ? 0 : 1;
  const bars = await page.locator(".latency .bars dd").allTextContents();
  assert.equal(bars.reduce((sum, bar) => sum + Number(bar), 0), timed);
  assert.ok(Number(await page.getByRole("meter").getAttribute("aria-valuenow")) > 0);
  await page.getByText("its own exit").waitFor();
  assert.equal(await page.locator(".tile").filter({ hasText: "Orphans found" }).locator("b").textContent(), "0");
  await page.getByRole("listitem").filter({ hasText: "store" }).getByText("ok").waitFor();
  await page.context().close();
});
