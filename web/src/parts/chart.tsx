/** Lines over time, by uPlot, in the colours of the page. */
import { useLayoutEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock, span } from "../format.js";

interface Props {
  label: string;
  at: number[];
  series: { name: string; colour: string; values: (number | null)[] }[];
}

const HEIGHT = 240;
const DAY_S = 86_400;
/** What a log scale begins with: it has no place for 0. */
const LEAST_MS = 1;

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Only the powers of ten: between them a log scale has more lines than anybody reads. */
function decades(_: uPlot, splits: number[]): (number | null)[] {
  return splits.map((value) => (isDecade(value) ? value : null));
}

function axis(): uPlot.Axis {
  return {
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 },
    font: "11px system-ui, sans-serif",
  };
}

/** Days where the lines are days apart, else the time of the day, to the second where it needs that. */
function times(_: uPlot, splits: number[], __: number, ___: number, step: number): string[] {
  return splits.map((at) => {
    const time = new Date(at * 1000);
    if (step >= DAY_S) return time.toLocaleDateString(undefined, { month: "short", day: "numeric" });
    return clock(time.toISOString()).slice(0, step < 60 ? undefined : -3);
  });
}

/** A decade in a few characters. */
function size(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${ms / 1000} s`;
}

/** The value under the cursor; where there is no cursor, the newest that there is. */
function value(plot: uPlot, under: number | null, line: number, index: number | null): string {
  const newest = Array.from(plot.data[1]!, (ms) => ms !== null).lastIndexOf(true);
  const shown = index === null ? plot.data[line]![newest] : under;
  if (shown === null || shown === undefined) return "–";
  if (!line) return clock(new Date(shown * 1000).toISOString());
  return shown <= LEAST_MS ? `≤ ${span(LEAST_MS)}` : span(shown);
}

function dataOf({ at, series }: Props): uPlot.AlignedData {
  return [at, ...series.map(({ values }) => values.map((ms) => (ms === null ? null : Math.max(LEAST_MS, ms))))];
}

function optionsOf({ series }: Props, width: number): uPlot.Options {
  return {
    width,
    height: HEIGHT,
    cursor: { y: false },
    scales: { y: { distr: 3 } },
    axes: [
      { ...axis(), values: times },
      {
        ...axis(),
        size: 56,
        grid: { ...axis().grid, filter: decades },
        ticks: { ...axis().ticks, filter: decades },
        values: (_, ticks) => ticks.map((ms) => (ms && isDecade(ms) ? size(ms) : "")),
      },
    ],
    series: [
      { value },
      ...series.map(({ name, colour: stroke }) => ({
        label: name,
        stroke: colour(stroke),
        width: 1.5,
        spanGaps: true,
        points: { show: true, size: 5 },
        value,
      })),
    ],
  };
}

function isDecade(value: number): boolean {
  return Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6);
}

export function Chart(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = box.current!;
    const data = dataOf(props);
    let plot: uPlot | undefined;
    let over = false;
    // Loaded here, as it sets up much of the browser's own formatting that no other view has need of.
    const draw = async () => {
      const { default: Plot } = await import("uplot");
      plot?.destroy();
      if (!over) plot = new Plot(optionsOf(props, element.clientWidth), data, element);
    };
    const size = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height: HEIGHT }));
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => void draw();
    redraw();
    size.observe(element);
    dark.addEventListener("change", redraw);
    return () => {
      over = true;
      size.disconnect();
      dark.removeEventListener("change", redraw);
      plot?.destroy();
    };
  }, [props]);
  return <div class="chart" role="img" aria-label={props.label} ref={box} />;
}
