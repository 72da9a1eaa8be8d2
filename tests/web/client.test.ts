/** The TypeScript client, against the real server. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { Quell, type QuellEvent, Refused, Unreachable, WaitTimeout } from "quell-client";
import { Server, untilOutput } from "./server.js";

const SLEEPS = "import time\nprint('ready', flush=True)\ntime.sleep(600)";
const HEEDS = `import os, sys, time
print('ready', flush=True)
while not os.path.exists(os.environ['QUELL_CANCEL']): time.sleep(0.01)
sys.exit(75)`;

const server = await new Server(["--workers", "2"], { alice: "key-of-alice-0123456789" }).start();
after(() => server.close());

async function started(code: string): Promise<string> {
  const quell = server.client();
  const made = await quell.submit({ code, language: "python" });
  await untilOutput(quell, made.eval_id, "ready");
  return made.eval_id;
}

test("what is submitted runs, and its output is there", async () => {
  const quell = server.client();
  const code = "import sys\nprint('out')\nprint('err', file=sys.stderr)";
  const done = await quell.run({ code, language: "python", labels: { team: "red" } });
  assert.equal(done.status, "succeeded");
  assert.equal(done.exit_code, 0);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(text(await quell.output(done.eval_id, { stream: "stdout" })), "out\n");
  assert.equal(text(await quell.output(done.eval_id, { stream: "stderr" })), "err\n");
  const found = [];
  for await (const seen of quell.list({ label: ["team", "red"] })) found.push(seen.eval_id);
  assert.deepEqual(found, [done.eval_id]);
  const steps = await quell.timeline(done.eval_id);
  assert.ok(steps.some((step) => /-> succeeded/.test(step.what)));
});

test("a kill is proven, and a second stop of it answers the same", async () => {
  const quell = server.client();
  const id = await started(SLEEPS);
  const stopped = await quell.kill(id, { reason: "a test", wait: 30 });
  assert.equal(stopped.cancelled, true);
  assert.equal(stopped.evidence, "verified");
  assert.equal(stopped.reason, "a test");
  assert.equal((await quell.cancel(id)).cancellation_id, stopped.cancellation_id);
  assert.ok((await quell.cancellation(stopped.cancellation_id!)).steps.length > 1);
});

test("a receipt of a stop is signed, and says what was seen", async () => {
  const quell = server.client();
  const id = await started(SLEEPS);
  const { cancellation_id } = await quell.kill(id, { wait: 30 });
  const { payload, signatures } = await quell.receipt(cancellation_id!);
  assert.equal(JSON.parse(Buffer.from(payload, "base64").toString()).cancellation.eval_id, id);
  assert.equal(signatures.length, 1);
  assert.match(await quell.signer(), /BEGIN PUBLIC KEY/);
});

test("what a selector means is counted and listed", async () => {
  const quell = server.client();
  const selector = "label.team=red,status=succeeded";
  assert.equal((await quell.count({ selector })).count, 1);
  const found = [];
  for await (const seen of quell.list({ selector })) found.push(seen.labels["team"]);
  assert.deepEqual(found, ["red"]);
});

test("a cancel waits for the program, which stops by itself", async () => {
  const quell = server.client();
  const id = await started(HEEDS);
  const stopped = await quell.cancel(id, { wait: 30 });
  assert.equal(stopped.outcome, "stopped");
  assert.equal(stopped.killed, false);
});

test("a terminate ends by SIGTERM", async () => {
  const quell = server.client();
  const id = await started(SLEEPS);
  assert.equal((await quell.terminate(id, { wait: 30 })).outcome, "terminated");
  assert.equal((await quell.get(id)).signal, "SIGTERM");
});

test("what had finished first is an answer, and says so", async () => {
  const quell = server.client();
  const done = await quell.run({ code: "pass", language: "python" });
  const answer = await quell.kill(done.eval_id);
  assert.equal(answer.outcome, "finished_first");
  assert.equal(answer.cancelled, false);
  assert.equal("detail" in answer, false);
});

test("an aborted signal cancels what runs", async () => {
  const quell = server.client();
  const id = await started(HEEDS);
  const controller = new AbortController();
  const waiting = quell.waitFor(id, { signal: controller.signal, onAbort: "cancel" });
  controller.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  assert.equal((await quell.waitFor(id)).status, "cancelled");
});

test("an aborted signal leaves it alone where that is said", async () => {
  const quell = server.client();
  const id = await started(SLEEPS);
  await assert.rejects(quell.waitFor(id, { signal: AbortSignal.timeout(1) }));
  assert.equal((await quell.get(id)).status, "running");
  await assert.rejects(quell.waitFor(id, { timeout: 0.01 }), WaitTimeout);
  await quell.kill(id, { wait: 30 });
});

test("events tell what changes, and only to whom it belongs", async () => {
  const controller = new AbortController();
  const seen: QuellEvent[] = [];
  const alice = server.client({ key: "key-of-alice-0123456789" });
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  const listening = (async () => {
    for await (const event of alice.events({ signal: controller.signal, onState: () => open() })) {
      seen.push(event);
      if (event.type === "evaluation" && event.evaluation.status === "succeeded") return;
    }
  })();
  await opened;
  await server.client().run({ code: "pass", language: "python" });
  const made = await alice.submit({ code: "pass", language: "python" });
  await listening;
  const ids = seen.map((event) => (event.type === "evaluation" ? event.evaluation.eval_id : ""));
  assert.deepEqual(new Set(ids), new Set([made.eval_id]));
});

test("a stream on which nothing is heard is given up for another one", async () => {
  const mute = createServer((_, answer) => void answer.writeHead(200, { "Content-Type": "text/event-stream" }).flushHeaders());
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  const { port } = mute.address() as AddressInfo;
  const told: string[] = [];
  const end = new AbortController();
  const onState = (state: string) => void (told.push(state) === 3 && end.abort());
  const quell = new Quell({ url: `http://127.0.0.1:${port}` });
  const listening = quell.events({ silence: 0.1, onState, signal: end.signal }).next();
  await assert.rejects(listening, { name: "AbortError" });
  assert.deepEqual(told, ["open", "away", "open"]);
  mute.closeAllConnections();
  mute.close();
});

test("refusals say what is wrong", async () => {
  const quell = server.client();
  await assert.rejects(quell.get("nobody"), (error: Refused) => {
    assert.equal(error.kind, "not-found");
    return error.status === 404;
  });
  await assert.rejects(quell.submit({ code: "x", language: "python", priority: 12 }), (error: Refused) => {
    assert.equal(error.problem.field, "priority");
    return /0 to 9/.test(error.message);
  });
  await assert.rejects(server.client({ key: "wrong" }).get("x"), { status: 401 });
  const away = server.client({ url: "http://127.0.0.1:9", patience: 0 });
  await assert.rejects(away.get("x"), Unreachable);
});

test("waits and outputs go on over a restart of the server", async () => {
  const quell = server.client();
  const id = await started(`${HEEDS.replace("sys.exit(75)", "print('bye', flush=True); sys.exit(75)")}`);
  const waiting = quell.waitFor(id);
  const said = untilOutput(quell, id, "bye");
  await server.end("SIGKILL");
  await server.start();
  await quell.cancel(id);
  assert.equal((await waiting).status, "cancelled");
  assert.match(await said, /ready\nbye/);
});

test("a policy is simulated, made, switched and removed", async () => {
  const quell = server.client();
  const policy = { name: "none", selector: "queue=nobody", trigger: { kind: "queue_ttl", after_s: 60 } } as const;
  assert.equal((await quell.simulate(policy, { since: "1d" })).would_stop, 0);
  assert.equal((await quell.createPolicy(policy)).enabled, true);
  await assert.rejects(quell.createPolicy(policy), { status: 409 });
  assert.equal((await quell.disablePolicy("none")).enabled, false);
  assert.equal((await quell.enablePolicy("none", { confirm: true })).enabled, true);
  assert.equal((await quell.simulate("none", { since: new Date(Date.now() - 60_000) })).live, 0);
  assert.equal((await quell.policy("none")).mode, "cancel");
  await quell.deletePolicy("none");
  assert.deepEqual(await quell.policies(), []);
});

test("a session is leased and ended, and a doctor says why one is as it is", async () => {
  const quell = server.client();
  assert.equal((await quell.heartbeat("nb-7", { lease: 60 })).state, "leased");
  assert.equal((await quell.endSession("nb-7")).state, "ended");
  assert.equal((await quell.session("nb-7")).state, "ended");
  const done = await quell.run({ code: "pass", language: "python" });
  const { alive, findings } = await quell.doctor(done.eval_id);
  assert.deepEqual([alive, findings[0]!.kind], [false, "finished"]);
});

test("orphans are looked for, and the audit is exported whole", async () => {
  const quell = server.client();
  assert.equal((await quell.orphans()).dry_run, true);
  assert.equal((await quell.reapOrphans({ limit: 1 })).reaped, 0);
  assert.ok((await quell.abuse()).principals_known > 0);
  const lines = [];
  for await (const line of quell.exportAudit()) lines.push(JSON.parse(line));
  assert.equal(lines.at(-1).head.seq, lines.at(-2).seq);
});

test("the server says that it is ready", async () => {
  const quell = server.client({ key: undefined });
  assert.equal((await quell.ready()).status, "ready");
  assert.match((await quell.alive()).version, /^\d/);
});
