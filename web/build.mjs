// Bundles the page into one document: `node build.mjs FOLDER` writes there page.html, the same as
// page.html.gz and page.html.br, its policy (page.csp) and the files it was made of (page.inputs).
//
// Script and style stand inside the document, each allowed by its hash: one request is all that a
// first view takes, and the policy needs no 'unsafe-inline' for it.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const folder = resolve(process.argv[2] ?? join(here, "dist"));

const bundle = await build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.tsx", ahead: "src/ahead.ts" },
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  outdir: folder,
  format: "iife",
  target: ["chrome109", "firefox115", "safari16"],
  conditions: ["quell-source"],
  jsx: "automatic",
  jsxImportSource: "preact",
  define: { "process.env.NODE_ENV": '"production"' },
  legalComments: "none",
  charset: "utf8",
  logLevel: "warning",
});

const text = (name) => bundle.outputFiles.find((file) => file.path.endsWith(`/${name}`)).text.trim();
const hash = (content) => `'sha256-${createHash("sha256").update(content).digest("base64")}'`;

// A bundle that contains its own end tag would end early.
const [ahead, script] = ["ahead.js", "page.js"].map((name) => text(name).replaceAll("</script", "<\\/script"));
const style = text("page.css");
const frame = readFileSync(join(here, "src/page.html"), "utf8");
const page = frame
  .replace("<!-- ahead -->", () => `<script>${ahead}</script>`)
  .replace("<!-- style -->", () => `<style>${style}</style>`)
  .replace("<!-- script -->", () => `<script>${script}</script>`);

const policy = [
  "default-src 'none'",
  `script-src ${hash(ahead)} ${hash(script)}`,
  `style-src ${hash(style)}`,
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const bytes = Buffer.from(page);
const brotli = brotliCompressSync(bytes, {
  params: {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  },
});
const inputs = Object.keys(bundle.metafile.inputs).map((path) => resolve(here, path));
inputs.push(join(here, "src/page.html"), join(here, "build.mjs"), join(here, "package.json"));

mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "page.html"), bytes);
writeFileSync(join(folder, "page.html.gz"), gzipSync(bytes, { level: 9 }));
writeFileSync(join(folder, "page.html.br"), brotli);
writeFileSync(join(folder, "page.csp"), policy);
writeFileSync(join(folder, "page.inputs"), inputs.join("\n") + "\n");
