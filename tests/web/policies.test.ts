/** Policies, for those who may: tried before they are made, made, switched off and on, confirmed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "./stage.js";
import { eventually } from "./server.js";

const { server, browser } = await stage(["--workers", "0"]);
const quell = server.client();

const waits = (id: string, queue: string) => quell.submit({ eval_id: id, code: "pass", language: "python", queue });

test("a policy is tried on the past, made by the form, and stops by itself", async () => {
  for (const i of [0, 1, 2]) await waits(`slow-${i}`, "low");
  for (const i of [0, 1, 2, 3]) await waits(`other-${i}`, "high");
  const page = await browser.open(server, "#/policies");
  await page.getByText("Nothing is stopped by itself yet.").waitFor();
  await page.getByLabel("Name").fill("no-waiting");
  await page.getByLabel("When").selectOption("queue_ttl");
  await page.getByLabel("Longer than").fill("0.001");
  await page.getByLabel("How to stop them").selectOption("cancel");
  await page.getByLabel("Whom it may stop").fill("queue=");
  await page.getByRole("button", { name: "Simulate this policy" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Whom it may stop").fill("queue=low");
  await page.getByRole("button", { name: "Simulate this policy" }).click();
  await page.getByRole("heading", { name: "It would have stopped 3 of 3 evaluations" }).waitFor();
  const whom = page.getByRole("region", { name: "Whom it would have stopped" });
  await whom.getByRole("link", { name: "slow-1" }).waitFor();
  await whom.getByText(/waited/).first().waitFor();
  assert.equal((await quell.get("slow-1")).status, "queued");
  await page.getByRole("button", { name: "Make it" }).click();
  const rule = page.getByRole("listitem").filter({ hasText: "no-waiting" });
  await rule.getByText("Stopped 3 so far.").waitFor();
  assert.equal((await quell.waitFor("slow-2")).cause, "policy");
  assert.equal((await quell.get("other-0")).status, "queued");
  await page.context().close();
});

test("it is switched off and on, and half of what lives is said twice", async () => {
  const page = await browser.open(server, "#/policies");
  const rule = page.getByRole("listitem").filter({ hasText: "no-waiting" });
  const stops = rule.getByRole("switch", { name: "no-waiting stops by itself" });
  await page.getByRole("button", { name: "Make it" }).waitFor(); // it is known to be an admin's
  await stops.press("Space");
  await rule.getByText("Off").waitFor();
  assert.equal((await quell.policy("no-waiting")).enabled, false);
  for (let i = 0; i < 12; i++) await waits(`crowd-${i}`, "low");
  await stops.click();
  const half = rule.getByRole("alert");
  await half.getByText("It would stop 12 of the 16 that live now.").waitFor();
  assert.equal((await quell.policy("no-waiting")).enabled, false);
  const sure = half.getByRole("button", { name: "Switch no-waiting on" });
  assert.equal(await sure.isDisabled(), true);
  await half.getByLabel("Type 12 to confirm").fill("12");
  await sure.click();
  await rule.getByText("On", { exact: true }).waitFor();
  await eventually(async () => (await quell.count({ selector: "status=queued" })).count === 4, "twelve stops");
  await rule.getByRole("button", { name: "Remove no-waiting" }).click();
  await rule.getByRole("button", { name: "Remove for good" }).click();
  await rule.waitFor({ state: "detached" });
  assert.deepEqual(await quell.policies(), []);
  await page.context().close();
});

test("one is made as JSON, and confirmed before it is made", async () => {
  const page = await browser.open(server, "#/policies");
  await page.getByLabel("Name").fill("all-of-them");
  await page.getByRole("button", { name: "As JSON" }).click();
  const text = page.getByLabel("The policy as JSON");
  const policy = JSON.parse(await text.inputValue());
  assert.deepEqual([policy.name, policy.trigger.kind], ["all-of-them", "run_deadline"]);
  await text.fill("{");
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("alert").getByText("This is no JSON").waitFor();
  await text.fill(JSON.stringify({ ...policy, trigger: { kind: "queue_ttl", after_s: 0.001 } }));
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByText("It would stop 4 of the 4 that live now.").waitFor();
  await page.getByRole("button", { name: "Leave it" }).click();
  assert.deepEqual(await quell.policies(), []);
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByLabel("Type 4 to confirm").fill("4");
  await page.getByRole("button", { name: "Make it all the same" }).click();
  await page.getByRole("listitem").filter({ hasText: "all-of-them" }).getByText("Stopped 4").waitFor();
  await page.context().close();
});

test("an operator sees and tries them, a user sees nothing of them", async () => {
  const { key: operators } = await quell.createKey({ owner: "olga", role: "operator" });
  const { key: users } = await quell.createKey({ owner: "ute", role: "user" });
  const olga = await browser.open(server, "#/", {}, operators);
  await olga.getByRole("link", { name: "Policies" }).click();
  const rule = olga.getByRole("listitem").filter({ hasText: "all-of-them" });
  assert.equal(await rule.getByRole("switch").isDisabled(), true);
  assert.equal(await olga.getByRole("button", { name: /^(Make it|Remove)/ }).count(), 0);
  await rule.getByRole("button", { name: "Simulate all-of-them" }).click();
  await rule.getByRole("heading", { name: /It would have stopped \d+ of/ }).waitFor();
  assert.equal(await olga.getByRole("link", { name: "Access" }).count(), 0);
  const ute = await browser.open(server, "#/", {}, users);
  await ute.locator(".link-live").waitFor();
  await ute.getByRole("link", { name: "Health" }).waitFor();
  assert.equal(await ute.getByRole("link", { name: /Policies|Access/ }).count(), 0);
  await ute.evaluate(() => (location.hash = "#/policies"));
  await ute.getByRole("alert").waitFor();
  assert.equal(await ute.getByRole("button", { name: "Make it" }).count(), 0);
  await olga.context().close();
  await ute.context().close();
});
