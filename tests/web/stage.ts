/** What the tests of the page share: a server, a browser, and ends for both. */
import assert from "node:assert/strict";
import { after } from "node:test";
import { EXAMPLES } from "../../web/src/examples.js";
import { Browser } from "./browser.js";
import { Server, untilOutput } from "./server.js";

export async function stage(flags: string[], owners: Record<string, string> = {}) {
  const server = await new Server(flags, owners).start();
  const browser = await new Browser().start();
  after(async () => {
    await browser.close();
    await server.close();
    assert.deepEqual(browser.complaints, [], "no error, nothing against the policy, no other host");
  });
  return { server, browser };
}

/** Submits one of the page's own examples, and waits until it said this. */
export async function begin(server: Server, name: string, said: string, more: object = {}): Promise<string> {
  const { submission } = EXAMPLES.find((example) => example.name === name)!;
  const quell = server.client();
  const made = await quell.submit({ ...submission, ...more });
  await untilOutput(quell, made.eval_id, said);
  return made.eval_id;
}

/** Submits a program that runs for as long as a slow machine needs, and waits until it runs. */
export async function hold(server: Server, more: object = {}): Promise<string> {
  const code = 'import time\nprint("1 of many", flush=True)\ntime.sleep(3600)\n';
  const quell = server.client();
  const made = await quell.submit({ code, language: "python", timeout_s: 3600, ...more });
  await untilOutput(quell, made.eval_id, "1 of");
  return made.eval_id;
}
