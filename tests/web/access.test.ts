/** For everybody: axe finds nothing, the keyboard reaches everything, and 360 px are enough. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { begin, hold, stage } from "./stage.js";
import { TOP } from "./server.js";

const { server, browser } = await stage(["--workers", "2"]);
const axe = readFileSync(createRequire(`${TOP}/tests/web/package.json`).resolve("axe-core/axe.min.js"), "utf8");

const proven = await begin(server, "Refuses to die", "still here", { labels: { team: "red" } });
await server.client().kill(proven, { wait: 30 });
const stopping = await begin(server, "Refuses to die", "still here", { grace_s: 3600, timeout_s: 3600 });
await server.client().terminate(stopping, { wait: 0 });
const running = await hold(server);
await server.client().submit({ code: "print(1)", language: "python", eval_id: "waits" });
const asked = { selector: "eval_id=waits", mode: "kill" as const };
const { batch_id: preview } = await server.client().previewBatch(asked);
const { batch_id: batch } = await server.client().startBatch({ ids: [proven] });
await server.client().createKey({ owner: "grader", name: "the one beside the blackboard" });
await server.client().createPolicy({ name: "nobody-yet", selector: "queue=none", trigger: { kind: "session_ended" } });

/** Each view with the sign that it is there. */
function views(): [string, string, (page: Page) => Promise<unknown>][] {
  return [
    ["list", "#/", (page) => page.getByRole("link", { name: running }).waitFor()],
    ["submit", "#/submit", (page) => page.getByLabel("Code").waitFor()],
    ["queued", "#/eval/waits", (page) => page.getByText("It waits in the queue.").waitFor()],
    ["choice", `#/eval/${running}`, (page) => page.getByRole("button", { name: "Cancel" }).click()],
    ["ladder", `#/eval/${stopping}`, (page) => page.locator(".countdown").waitFor()],
    ["proof", `#/eval/${proven}`, (page) => page.getByText("Stopped, and proven").waitFor()],
    ["health", "#/health", (page) => page.locator(".panels").waitFor()],
    ["batches", "#/batches", (page) => page.getByRole("heading", { name: "Before" }).waitFor()],
    ["preview", `#/batch/${preview}`, (page) => page.getByText("Nothing was done yet.").waitFor()],
    ["batch", `#/batch/${batch}`, (page) => page.getByText("All 1 were asked to stop").waitFor()],
    ["policies", "#/policies", (page) => page.getByRole("button", { name: "Simulate nobody-yet" }).click()],
    ["nothing", "#/?q=nothing-such", (page) => page.getByRole("heading", { name: "Nothing matches" }).waitFor()],
    ["access", "#/access", (page) => page.getByRole("button", { name: /^Revoke/ }).waitFor()],
    ["nowhere", "#/nowhere", (page) => page.getByText("There is nothing here").waitFor()],
  ];
}

/** Put in past the page's own policy, which would not let a script in: the browser's protocol may. */
async function violations(page: Page): Promise<string[]> {
  const found = await page.evaluate(`(async () => {
    ${axe}
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    return violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 120)).join(" | "));
  })()`);
  return found as string[];
}

/** The 720 px are a screen of 1,440 at a zoom of 200 %. */
for (const [width, colorScheme] of [[1440, "light"], [720, "light"], [390, "dark"], [360, "light"]] as const) {
  test(`no violation, and nothing wider than ${width} px, ${colorScheme}`, async () => {
    const found: string[] = [];
    const page = await browser.open(server, "#/", { viewport: { width, height: 800 }, colorScheme });
    for (const [name, at, look] of views()) {
      await page.evaluate((hash) => (location.hash = hash), at);
      await look(page);
      found.push(...(await violations(page)).map((text) => `${name}: ${text}`));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) found.push(`${name}: ${wide} px wide`);
      const cut = await page.evaluate(() => document.querySelector("nav a:last-child")!.getBoundingClientRect().right > innerWidth);
      if (cut) found.push(`${name}: the last of the views is cut off`);
    }
    assert.deepEqual(found, []);
    await page.context().close();
  });
}

test("the sign-in has no violation either", async () => {
  const page = await browser.open(server, "#/", {}, "wrong");
  await page.getByRole("alert").getByText("This server does not take that key.").waitFor();
  await page.waitForFunction(() => document.activeElement!.id === "key");
  assert.deepEqual(await violations(page), []);
  await page.context().close();
});

test("the keyboard is enough to find one and to stop it", async () => {
  const page = await browser.open(server);
  await page.getByRole("link", { name: running }).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement!.textContent!.trim()), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement!.id), "content");
  await page.keyboard.press("/");
  await page.keyboard.type("waits");
  await page.getByText("1 of 4 evaluations").waitFor();
  await page.getByRole("button", { name: "Show all" }).press("Enter");
  await page.getByRole("link", { name: "waits" }).focus();
  await page.keyboard.press("ArrowDown");
  await page.waitForFunction((id) => document.activeElement!.textContent === id, running);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Cancel", exact: true }).press("Enter");
  await page.getByRole("heading", { name: "How shall it stop?" }).waitFor();
  await page.waitForFunction(() => document.activeElement!.textContent === "Cancel");
  await page.keyboard.press("Escape");
  await page.getByText("Its program runs.").waitFor();
  await page.context().close();
});

test("the editor takes a Tab, and lets go after Escape", async () => {
  const page = await browser.open(server, "#/submit");
  const code = page.getByLabel("Code");
  await code.fill("if True:\n");
  await code.press("Tab");
  assert.equal(await code.inputValue(), "if True:\n    ");
  await code.press("Escape");
  await page.keyboard.press("Tab");
  assert.notEqual(await page.evaluate(() => document.activeElement!.id), "code");
  await page.context().close();
});

test("the focus stays with its row: it follows it, and goes with it out of sight", async () => {
  const quell = server.client();
  const many = Array.from({ length: 80 }, (_, i) => ({ eval_id: `row-${i}`, code: "pass", language: "python", priority: 0 }));
  await quell.submitBatch(many);
  const page = await browser.open(server);
  const cancel = page.getByRole("button", { name: "Cancel row-70" });
  await cancel.focus();
  const top = async () => (await cancel.boundingBox())!.y;
  const before = await top();
  await quell.submit({ eval_id: "row-new", code: "pass", language: "python", priority: 0 });
  await page.getByRole("link", { name: "row-new" }).waitFor();
  assert.ok((await top()) > before);
  const focused = () => page.evaluate(() => document.activeElement!.getAttribute("aria-label"));
  assert.equal(await focused(), "Cancel row-70");
  await page.evaluate(() => document.querySelector(".table-body")!.scrollTo(0, 1e6));
  await page.getByRole("link", { name: "row-0", exact: true }).waitFor();
  assert.equal(await focused(), null);
  assert.equal(await page.getByRole("row").filter({ hasText: "row-70" }).count(), 0);
  await page.context().close();
});
