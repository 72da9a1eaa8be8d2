/** What is built: the types hold, the page is light, and the package is what will be published. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Quell } from "quell-client";
import { Server, TOP } from "./server.js";

const HEAVIEST = 120 * 1024;
const CLIENT = join(TOP, "clients/typescript");

function npm(folder: string, ...args: string[]): string {
  const ran = spawnSync("npm", [...args, "--loglevel=error"], { cwd: folder, encoding: "utf8" });
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
  return ran.stdout;
}

/** As `npm publish` would send it: made by its own scripts, unpacked where nothing of the repository is. */
const packed = mkdtempSync(join(tmpdir(), "quell-packed-"));
after(() => rmSync(packed, { recursive: true, force: true }));

test("the types made from the contract hold in the client, the page and the tests", () => {
  npm(CLIENT, "pack", "--pack-destination", packed);
  for (const folder of ["web", "tests/web"]) {
    const ran = spawnSync("node_modules/.bin/tsc", ["--project", folder], { cwd: TOP, encoding: "utf8" });
    assert.equal(ran.status, 0, ran.stdout);
  }
});

/** Calls whose method has another name than the thing that they get or list. */
const NAMES: Record<string, string> = {
  getEvaluation: "get",
  deleteEvaluation: "delete",
  listEvaluations: "list",
  countEvaluations: "count",
  createBatch: "startBatch",
  simulatePolicy: "simulate",
  simulateNewPolicy: "simulate",
  heartbeatSession: "heartbeat",
  listen: "events",
};

function methodOf(call: string): string {
  const thing = call.replace(/^(?:get|list)([A-Z])/, (_, letter: string) => letter.toLowerCase());
  return NAMES[call] ?? thing;
}

test("the client makes each call of the contract", () => {
  const contract = readFileSync(join(TOP, "docs/openapi.yaml"), "utf8");
  const calls = Array.from(contract.matchAll(/operationId: (\w+)/g), ([, name]) => name!);
  assert.ok(calls.length > 50);
  const others = ["page", "contract"]; // documents, for others to read
  assert.deepEqual(calls.filter((name) => !others.includes(name) && !(methodOf(name) in Quell.prototype)), []);
});

test("the package has what it needs, and nothing of the repository's, and its examples do by themselves what they say", async (t) => {
  const [archive] = readdirSync(packed).filter((name) => name.endsWith(".tgz"));
  const home = join(packed, "node_modules/quell-client");
  mkdirSync(home, { recursive: true });
  execFileSync("tar", ["-xzf", join(packed, archive!), "-C", home, "--strip-components=1"]);
  const paths = readdirSync(home, { recursive: true, encoding: "utf8" });
  const wanted = ["dist/index.js", "dist/index.d.ts", "README.md", "LICENSE", "package.json"];
  assert.deepEqual(wanted.filter((path) => !paths.includes(path)), []);
  assert.deepEqual(paths.filter((path) => !/^(dist($|\/)|README\.md$|LICENSE$|package\.json$)/.test(path)), []);
  const readme = readFileSync(join(home, "README.md"), "utf8");
  const server = await new Server(["--workers", "1"]).start();
  t.after(() => server.close());
  const blocks = Array.from(readme.matchAll(/```ts\n([^`]*)```/g), ([, block]) => block!);
  assert.equal(blocks.length, 2);
  const example = ['const code = "print(1)";', ...blocks, "console.log(done.status);"].join("\n");
  writeFileSync(join(packed, "example.ts"), example.replace("http://127.0.0.1:8080", server.url));
  writeFileSync(join(packed, "package.json"), JSON.stringify({ type: "module" }));
  const flags = ["--strict", "--target", "ES2022", "--module", "nodenext", "--types", "node", "--typeRoots", join(TOP, "node_modules/@types")];
  const ran = spawnSync(join(TOP, "node_modules/.bin/tsc"), [...flags, "example.ts"], { cwd: packed, encoding: "utf8" });
  assert.equal(ran.status, 0, ran.stdout);
  const env = { ...process.env, QUELL_KEY: server.key };
  assert.equal(execFileSync("node", ["example.js"], { cwd: packed, env, encoding: "utf8" }), "true verified\nsucceeded\n");
});

test("the package can be imported by its name, without a step in between", () => {
  const code = "import('quell-client').then(({ Quell }) => console.log(new Quell({ url: 'http://h:1/' }).url))";
  assert.equal(execFileSync("node", ["-e", code], { cwd: join(TOP, "web"), encoding: "utf8" }), "http://h:1\n");
});

test("the page weighs at most 120 kB, in both forms", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "quell-page-"));
  execFileSync("node", [join(TOP, "web/build.mjs"), folder]);
  const sizes = ["page.html.br", "page.html.gz"].map((name) => statSync(join(folder, name)).size);
  t.diagnostic(`${sizes[0]} bytes by brotli, ${sizes[1]} by gzip`);
  assert.ok(sizes.every((size) => size > 10_000 && size <= HEAVIEST), String(sizes));
  rmSync(folder, { recursive: true });
});
