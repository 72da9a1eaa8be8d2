/**
 * How quick the page is with ten thousand evaluations: the first view, from the request to a list that
 * shows, and the frames of a scroll from end to end. It asserts nothing.
 */
import { cpus, loadavg } from "node:os";
import type { CDPSession } from "playwright-core";
import { Bare } from "./bare.js";
import { Browser } from "./browser.js";
import { Server } from "./server.js";

const MANY = 10_000;
const BATCH = 2_000;
const VIEWS = 15;
const FRAMES = 240;
/** Of the page's thread: all of it, then what of that is script, style and layout. */
const COSTS = ["TaskDuration", "ScriptDuration", "RecalcStyleDuration", "LayoutDuration"] as const;
type Cost = number[];
/** Rows a frame: a fling, and the thumb of the scroll bar dragged from end to end. */
const PACES = { fling: 3, drag: MANY / FRAMES };

console.log(`load ${loadavg()[0]!.toFixed(1)} on ${cpus().length} processors, Node.js ${process.versions.node}`);
const server = await new Server(["--workers", "0"]).start();
const browser = await new Browser().start();

function said([all, ...parts]: Cost): string {
  const [script, style, layout] = parts.map((ms) => ms.toFixed(1));
  return `${all!.toFixed(1)} ms of processor each (script ${script}, style ${style}, layout ${layout})`;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

/**
 * In the page: from the navigation's start, with nothing in any cache, to the end of the frame in which rows of the list are
 * there.
 */
function firstRows(): Promise<number> {
  return new Promise((resolve) => {
    const shown = () => resolve(performance.now());
    const look = () => {
      if (document.querySelector("[data-index]")) setTimeout(shown);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
}

async function firstViews(): Promise<void> {
  const bare = new Bare();
  const views = [];
  const costs = [];
  for (let i = 0; i < VIEWS; i++) {
    const { seen, cpu } = await bare.measure(`${server.url}/#key=${server.key}`, firstRows);
    views.push(seen);
    costs.push(cpu);
  }
  await bare.close();
  const [half, worst, cost] = [median(views), Math.max(...views), median(costs)].map((ms) => ms.toFixed(0));
  console.log(`first view with ${MANY} evaluations: ${half} ms (median of ${VIEWS}, the longest ${worst} ms), ${cost} ms of processor in the page`);
}

/**
 * Frames a second while the list goes by, and what one took of the page's thread. On a busy machine
 * frames wait for a processor: believe the second.
 */
async function scroll(rows: number): Promise<{ rate: number; cpu: Cost }> {
  const page = await browser.open(server);
  await page.getByText(`${MANY.toLocaleString("en")} evaluations`).waitFor();
  await page.waitForFunction(() => !document.querySelector(".list-foot")!.textContent!.includes("being read"));
  const protocol = await page.context().newCDPSession(page);
  await protocol.send("Performance.enable", { timeDomain: "threadTicks" });
  const before = await costOf(protocol);
  const ms = await page.evaluate(roll, [rows, FRAMES] as const);
  const after = await costOf(protocol);
  await page.context().close();
  const cpu = COSTS.map((name) => ((after.get(name)! - before.get(name)!) * 1000) / FRAMES);
  return { rate: FRAMES / (ms / 1000), cpu };
}

/** In the page: so many rows further at each frame. */
async function roll([rows, frames]: readonly [number, number]): Promise<number> {
  const box = document.querySelector(".table-body")!;
  const by = rows * document.querySelector<HTMLElement>("[data-index]")!.offsetHeight;
  const began = performance.now();
  for (let i = 0; i < frames; i++) {
    box.scrollTop += by;
    await new Promise(requestAnimationFrame);
  }
  return performance.now() - began;
}

async function costOf(protocol: CDPSession): Promise<Map<string, number>> {
  const { metrics } = await protocol.send("Performance.getMetrics");
  return new Map(metrics.map(({ name, value }) => [name, value]));
}

try {
  for (let made = 0; made < MANY; made += BATCH) {
    const code = { code: "print(1)", language: "python" };
    await server.client().submitBatch(Array.from({ length: BATCH }, () => code));
  }
  await firstViews();
  for (const [name, rows] of Object.entries(PACES)) {
    const { rate, cpu } = await scroll(rows);
    console.log(`${name} over ${MANY} rows: ${rate.toFixed(0)} frames/s, ${said(cpu)}`);
  }
} finally {
  await browser.close();
  await server.close();
}
