/** The page from its first view on: who asks, the list, what is submitted, and what goes wrong. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { BUILD, eventually } from "./server.js";
import { hold, stage } from "./stage.js";

const OWNERS = { alice: "key-of-alice-0123456789" };
const { server, browser } = await stage(["--workers", "3"], OWNERS);

const row = (page: Page, id: string) => page.getByRole("row").filter({ has: page.getByRole("link", { name: id, exact: true }) });

test("the link of the start takes the key out of the address", async () => {
  const page = await browser.open(server);
  await page.getByRole("heading", { name: "Nothing has run yet" }).waitFor();
  assert.equal(page.url(), `${server.url}/#/`);
  await page.reload();
  await page.locator(".link-live").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem("quell.key")), server.key);
  assert.equal(await page.evaluate(() => document.cookie), "");
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await page.context().close();
});

test("who has no key is asked for one, and one that is wrong is refused", async () => {
  const page = await browser.open(server, "#/", {}, "wrong");
  await page.getByRole("heading", { name: "Who is asking?" }).waitFor();
  await page.getByLabel("Key").fill(server.key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Nothing has run yet" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Who is asking?" }).waitFor();
  await page.context().close();
});

test("an empty list leads to the first submit, whose output comes as it is written", async () => {
  const page = await browser.open(server);
  await page.getByRole("link", { name: "Submit the first one" }).click();
  await page.getByRole("button", { name: /^Counts to 60/ }).click();
  await page.getByLabel("Run deadline").fill("50");
  await page.getByLabel("Labels").fill("team=red run=7");
  await page.getByLabel("Code").press("Control+Enter");
  await page.locator(".text").getByText("2 of 60").waitFor();
  const id = (await page.getByRole("heading", { level: 1 }).textContent())!;
  const made = await server.client().get(id);
  assert.deepEqual(made.labels, { team: "red", run: "7" });
  await page.getByRole("button", { name: "Edit and run again" }).click();
  assert.match(await page.getByLabel("Code").inputValue(), /range\(1, 61\)/);
  assert.equal(await page.getByLabel("Run deadline").inputValue(), "50");
  await server.client().kill(id, { wait: 30 });
  await page.context().close();
});

test("whatever the server has is edited and run again, also by whom it was not submitted", async () => {
  const quell = server.client();
  const made = await quell.run({ command: ["sh", "-c", "echo one; echo two"], env: { A: "b" }, labels: { team: "red" }, memory_mb: 64 });
  const page = await browser.open(server, `#/eval/${made.eval_id}`);
  await page.getByRole("button", { name: "Edit and run again" }).click();
  const command = page.getByLabel("Command");
  assert.deepEqual(JSON.parse(await command.inputValue()), ["sh", "-c", "echo one; echo two"]);
  assert.equal(await page.getByLabel("Memory").inputValue(), "64");
  assert.equal(await page.getByLabel("Labels").inputValue(), "team=red");
  await command.fill('["echo", ');
  await page.getByRole("alert").getByText("A command is the program and its arguments").waitFor();
  await command.fill('["echo", "three"]');
  await page.getByRole("button", { name: "Submit" }).click();
  await page.locator(".text").getByText("three").waitFor();
  const other = await server.client({ key: OWNERS.alice }).run({ code: "print(1)", language: "python", env: { SECRET: "s" } });
  await page.evaluate((id) => (location.hash = `#/eval/${id}`), other.eval_id);
  await page.getByRole("heading", { name: other.eval_id }).waitFor();
  await page.getByRole("button", { name: "Edit and run again" }).click();
  await page.getByText("What stands in its env is its owner's alone").waitFor();
  await page.getByLabel("Code").waitFor();
  assert.equal(await page.getByLabel("Code").inputValue(), "print(1)");
  await page.context().close();
});

test("a refused submit says which member is wrong, in words", async () => {
  const page = await browser.open(server, "#/submit");
  await page.getByLabel("Priority").fill("12");
  await page.getByRole("button", { name: "Submit" }).click();
  await page.getByRole("alert").getByText("Priority must be a whole number from 0 to 9").waitFor();
  assert.equal(await page.getByLabel("Priority").getAttribute("aria-invalid"), "true");
  await page.context().close();
});

test("stdout and stderr are shown apart, searched, followed, wrapped and downloaded", async () => {
  const quell = server.client();
  const code = "import sys\nfor i in range(500): print('line', i)\nprint('oops', file=sys.stderr)";
  const done = await quell.run({ code, language: "python" });
  const page = await browser.open(server, `#/eval/${done.eval_id}`);
  const text = page.locator(".text");
  await text.getByText("line 499").waitFor();
  await page.getByRole("button", { name: "stderr" }).click();
  await page.waitForFunction(() => document.querySelector(".text")!.textContent!.trim() === "oops");
  await page.getByRole("button", { name: "stdout" }).click();
  await page.getByLabel("Search the output").fill("LINE 12");
  await page.locator(".hits").getByText("1 of 11").waitFor();
  await page.getByLabel("Search the output").press("Enter");
  await page.locator(".hits").getByText("2 of 11").waitFor();
  assert.equal(await page.locator("mark.here").textContent(), "line 12");
  assert.equal(await page.getByLabel("Follow").isChecked(), false);
  await page.getByLabel("Follow").check();
  await page.waitForFunction(() => {
    const { scrollTop, clientHeight, scrollHeight } = document.querySelector(".text")!;
    return scrollTop > 0 && scrollHeight - scrollTop - clientHeight < 2;
  });
  const space = () => text.evaluate((box) => getComputedStyle(box).whiteSpace);
  assert.equal(await space(), "pre-wrap");
  await page.getByLabel("Wrap").uncheck();
  assert.equal(await space(), "pre");
  await page.locator("dl > div", { hasText: /^Exit code0$/ }).waitFor();
  const downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  assert.equal((await downloading).suggestedFilename(), `${done.eval_id}-1-stdout.txt`);
  await page.context().close();
});

test("the list follows what happens, and a link to a filter shows the same", async () => {
  const quell = server.client();
  const page = await browser.open(server);
  await page.locator(".link-live").waitFor();
  const id = await hold(server, { eval_id: "followed", labels: { team: "blue" } });
  await row(page, id).locator(".s-running").waitFor();
  await page.getByRole("button", { name: /^running/ }).click();
  await page.getByRole("searchbox").fill("label:team=blue follow");
  await page.waitForFunction(() => location.hash.includes("status=running"));
  const other = await browser.open(server, new URL(page.url()).hash);
  await row(other, id).waitFor();
  assert.equal(await other.getByRole("searchbox").inputValue(), "label:team=blue follow");
  assert.equal(await other.getByRole("button", { name: /^running/ }).getAttribute("aria-pressed"), "true");
  await quell.kill(id, { wait: 30 });
  await row(page, id).waitFor({ state: "detached" });
  await page.getByText(/^None of .* is what the filter names/).waitFor();
  await page.getByRole("button", { name: "Show all" }).click();
  await row(page, id).locator(".s-cancelled").waitFor();
  const theirs = await server.client({ key: OWNERS.alice }).submit({ code: "pass", language: "python" });
  await page.getByRole("searchbox").fill("owner:alice");
  await row(page, theirs.eval_id).waitFor();
  await row(page, id).waitFor({ state: "detached" });
  await page.context().close();
  await other.context().close();
});

test("the first rows are asked for once, before the page's style and script; without them the page is there as well", async () => {
  const { eval_id: id } = await server.client().submit({ code: "pass", language: "python" });
  const page = await browser.open(server, "#/", {}, server.key, () => {
    const send = window.fetch;
    const asked: string[] = [];
    window.fetch = async (...call) => {
      asked.push(`${document.styleSheets.length} styles: ${String(call[0]).replace(location.origin, "")}`);
      if (asked.length === 1) await new Promise((release) => Object.assign(window, { asked, release }));
      return send(...call);
    };
  });
  await page.getByText("Reading the list…").waitFor();
  await page.evaluate("release()");
  await row(page, id).waitFor();
  const asked = (await page.evaluate("asked")) as string[];
  assert.equal(asked[0], "0 styles: /api/evaluations?limit=50");
  assert.equal(asked.filter((call) => call.endsWith("evaluations?limit=50")).length, 1);
  await page.context().close();
});

test("counts are the server's, also of what the page does not hold, and follow what happens", async () => {
  const quell = server.client();
  const busy = await Promise.all([0, 1, 2].map((i) => hold(server, { eval_id: `full-${i}`, labels: { held: "no" } })));
  for (let i = 0; i < 12; i++) await quell.submit({ code: "pass", language: "python", priority: 0, labels: { held: "no" } });
  const page = await browser.open(server, "#/nowhere");
  await page.route("**/api/evaluations?*", async (route) => {
    const answer = await route.fetch();
    const { evaluations } = (await answer.json()) as { evaluations: object[] };
    await route.fulfill({ response: answer, json: { evaluations: evaluations.slice(0, 2), next_cursor: null } });
  });
  await page.reload();
  await page.evaluate(() => (location.hash = "#/?label=held%3Dno"));
  const chip = (text: RegExp) => page.getByRole("button", { name: text });
  await chip(/^queued 12$/).waitFor();
  await chip(/^running 3$/).waitFor();
  await quell.submit({ eval_id: "thirteenth", code: "pass", language: "python", priority: 0, labels: { held: "no" } });
  await chip(/^queued 13$/).waitFor();
  await quell.cancel("thirteenth", { wait: 30 });
  await chip(/^queued 12$/).waitFor();
  await chip(/^cancelled 1$/).waitFor();
  for (const id of busy) await quell.kill(id, { wait: 30 });
  await chip(/^succeeded 12$/).waitFor();
  await page.context().close();
});

test("many are selected, told what would happen, and stopped", async () => {
  const quell = server.client();
  for (let i = 0; i < 12; i++) {
    const code = "import time; time.sleep(600)";
    await quell.submit({ eval_id: `many-${i}`, code, language: "python", labels: { sweep: "many" } });
  }
  const page = await browser.open(server, "#/?label=sweep%3Dmany");
  await row(page, "many-11").waitFor();
  await page.getByLabel("Select all 12 that are shown").check();
  const bar = page.getByRole("region", { name: "Selected evaluations" });
  await bar.getByLabel("How to stop them").selectOption("kill");
  await bar.getByRole("button", { name: "See what that would do" }).click();
  await page.getByRole("heading", { name: /It would remove \d+, kill 3/ }).waitFor();
  const stop = page.getByRole("button", { name: "Stop 12" });
  assert.equal(await stop.isDisabled(), true);
  await page.getByLabel("Type 12 to confirm").fill("12");
  await stop.click();
  await page.getByText("All 12 were asked to stop").waitFor();
  await page.getByRole("cell", { name: "killed" }).nth(2).waitFor();
  for (let i = 0; i < 12; i++) assert.equal((await quell.get(`many-${i}`)).status, "cancelled");
  await page.context().close();
});

test("a selector is written, and what it took out of the queue is put back", async () => {
  const quell = server.client();
  const blocks = await Promise.all([0, 1, 2].map((i) => hold(server, { eval_id: `busy-${i}` })));
  for (const i of [0, 1, 2]) await quell.submit({ eval_id: `back-${i}`, code: "pass", language: "python", priority: 1 });
  const page = await browser.open(server, "#/?status=queued");
  await page.getByRole("link", { name: "Stop all of these…" }).click();
  assert.equal(await page.getByLabel("Selector").inputValue(), "status in (queued)");
  await page.getByLabel("Selector").fill("eval_id=back-*,status=");
  await page.getByRole("button", { name: "See what that would do" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Selector").fill("eval_id=back-*");
  await page.getByRole("button", { name: "See what that would do" }).click();
  await page.getByRole("heading", { name: "It would remove 3." }).waitFor();
  await page.getByRole("button", { name: "Stop 3" }).click();
  await page.getByRole("button", { name: "Undo: queue 3 again" }).click();
  await page.getByRole("link", { name: "What it undoes" }).waitFor();
  await page.getByText("queued again").first().waitFor();
  for (const id of blocks) await quell.kill(id, { wait: 30 });
  for (const i of [0, 1, 2]) assert.equal((await quell.waitFor(`back-${i}`)).status, "succeeded");
  await page.context().close();
});

test("a key is made, shown once, opens what is its owner's, and is revoked", async () => {
  const page = await browser.open(server, "#/access");
  await page.getByLabel("Owner").fill("carol");
  await page.getByLabel("Name").fill("laptop");
  await page.getByRole("button", { name: "Make a key" }).click();
  const made = page.getByRole("status").filter({ hasText: "It is shown this once" });
  const key = (await made.locator("code").textContent())!;
  const carol = await browser.open(server, "#/", {}, key);
  await carol.getByRole("heading", { name: "Nothing has run yet" }).waitFor();
  assert.equal(await carol.getByRole("link", { name: "Access" }).count(), 0);
  await page.getByRole("button", { name: "Revoke laptop" }).click();
  await page.getByRole("button", { name: "Revoke for good" }).click();
  await carol.getByRole("heading", { name: "Who is asking?" }).waitFor();
  await page.getByRole("region", { name: "What was tried" }).getByText("key-revoke").waitFor();
  await page.getByRole("combobox", { name: "What" }).selectOption("kill");
  await page.getByRole("cell", { name: "kill" }).first().waitFor();
  await page.getByLabel("Who").fill("nobody-such");
  await page.getByText("Nobody tried that.").waitFor();
  await page.context().close();
  await carol.context().close();
});

test("a key for a part alone, and the audit is verified and taken along", async () => {
  const page = await browser.open(server, "#/access");
  await page.getByLabel("Owner").fill("dora");
  await page.getByText("Only a part of what its role may").click();
  await page.getByLabel("read").check();
  await page.getByRole("button", { name: "Make a key" }).click();
  await page.getByRole("row").filter({ hasText: "dora" }).getByRole("cell", { name: "read", exact: true }).waitFor();
  await page.getByRole("button", { name: "Verify" }).click();
  const said = page.getByRole("status").filter({ hasText: "rows hold, up to row" });
  const downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export" }).click();
  const exported = (await (await downloading).path())!;
  const quell = (...args: string[]) => execFileSync(`${BUILD}/quell`, ["audit", "verify", ...args], { encoding: "utf8" });
  const key = (await said.locator("code").textContent())!;
  assert.match(quell(exported, "--server-key", key), /^\d+ rows hold/);
  await page.route("**/api/audit*", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace('"dora"', '"nora"').replace("key-create", "key-revoke") });
  });
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByRole("alert").getByText(/row \d+ does not follow from what it says/).waitFor();
  await page.context().close();
});

test("what is not there says so, and leads back", async () => {
  const page = await browser.open(server, "#/eval/nobody");
  await page.getByRole("alert").getByText(/nobody/).waitFor();
  await page.getByRole("link", { name: "Back to all evaluations" }).click();
  await page.getByRole("table", { name: "Evaluations" }).waitFor();
  await page.context().close();
});

test("it says when the server is away, and goes on when it is back", async () => {
  const page = await browser.open(server);
  await page.locator(".link-live").waitFor();
  await server.end("SIGKILL");
  await page.getByText("Reconnecting").waitFor();
  await page.getByRole("alert").getByText("The server does not answer.").waitFor();
  await server.start();
  const made = await server.client().submit({ code: "pass", language: "python" });
  await page.locator(".link-live").waitFor();
  await row(page, made.eval_id).locator(".s-succeeded").waitFor();
  assert.equal(await page.getByRole("alert").count(), 0);
  await page.context().close();
});

test("it says when the browser is offline, and that nothing stops for it", async () => {
  const page = await browser.open(server);
  await page.locator(".link-live").waitFor();
  await page.context().setOffline(true);
  // Its browser may tell the page before it cuts its network: then the page is told once more.
  const offline = page.getByRole("status").getByText("Offline");
  await eventually(async () => {
    await page.evaluate(() => dispatchEvent(new Event("offline")));
    return offline.waitFor({ timeout: 3000 }).then(() => true, () => false);
  }, "the page to be offline");
  await page.getByRole("alert").getByText(/^You are offline.*Runs go on without this page/).waitFor();
  await page.context().setOffline(false);
  await page.locator(".link-live").waitFor();
  await page.getByRole("alert").waitFor({ state: "detached" });
  await page.context().close();
});
