/** Debian's Chromium on a page of a real server. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { Server } from "./server.js";

export const EXECUTABLE = process.env["QUELL_CHROMIUM"] ?? "/usr/bin/chromium";
export const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export class Browser {
  readonly #folder = mkdtempSync(join(tmpdir(), "quell-chromium-"));
  #browser: Awaited<ReturnType<typeof chromium.launch>> | undefined;
  /** What went wrong in any page: errors, refused by the policy, asked of another host. */
  readonly complaints: string[] = [];

  async start(): Promise<this> {
    this.#browser = await chromium.launch({ executablePath: EXECUTABLE, args: FLAGS, env: this.#environment() });
    return this;
  }

  /** A tab of its own, signed in as the admin unless another key is given; `early` runs in it before the page does. */
  async open(
    server: Server,
    at = "#/",
    options: BrowserContextOptions = {},
    key = server.key,
    early?: () => void,
  ): Promise<Page> {
    const context: BrowserContext = await this.#browser!.newContext({
      viewport: { width: 1440, height: 900 },
      permissions: ["clipboard-read", "clipboard-write"],
      reducedMotion: "reduce",
      ...options,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    page.on("pageerror", (error) => this.complaints.push(error.stack ?? String(error)));
    page.on("console", (said) => {
      if (said.type() === "error" && !said.text().includes("Failed to load resource"))
        this.complaints.push(said.text());
    });
    page.on("request", (request) => {
      if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== server.url)
        this.complaints.push(`asked ${request.url()}`);
    });
    if (early) await page.addInitScript(early);
    await page.goto(`${server.url}/#key=${key}`);
    if (at !== "#/") await page.evaluate((hash) => (location.hash = hash), at);
    return page;
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #environment(): Record<string, string> {
    return { ...(process.env as Record<string, string>), HOME: this.#folder };
  }
}
