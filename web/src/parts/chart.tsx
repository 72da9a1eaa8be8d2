/** Lines over time, by uPlot, in the colours of the page. */
import { useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { span } from "../format.js";

interface Props {
  label: string;
  at: number[];
  series: { name: string; colour: string; values: (number | null)[] }[];
}

const HEIGHT = 180;

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

function optionsOf({ series }: Props, width: number): uPlot.Options {
  return {
    width,
    height: HEIGHT,
    cursor: { y: false },
    scales: { y: { distr: 3 } },
    axes: [
      axis(),
      {
        ...axis(),
        size: 56,
        grid: { ...axis().grid, filter: decades },
        ticks: { ...axis().ticks, filter: decades },
        values: (_, ticks) => ticks.map((ms) => (ms && isDecade(ms) ? span(ms) : "")),
      },
    ],
    series: [
      { value: (_, at) => (at === null ? "" : new Date(at * 1000).toLocaleTimeString(undefined, { hour12: false })) },
      ...series.map(({ name, colour: stroke }) => ({
        label: name,
        stroke: colour(stroke),
        width: 1.5,
        spanGaps: true,
        points: { show: true, size: 5 },
        value: (_: uPlot, ms: number | null) => (ms === null ? "" : span(ms)),
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
    const data: uPlot.AlignedData = [props.at, ...props.series.map(({ values }) => values)];
    let plot: uPlot | undefined;
    const draw = () => {
      plot?.destroy();
      plot = new uPlot(optionsOf(props, element.clientWidth), data, element);
    };
    const size = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height: HEIGHT }));
    const dark = matchMedia("(prefers-color-scheme: dark)");
    draw();
    size.observe(element);
    dark.addEventListener("change", draw);
    return () => {
      size.disconnect();
      dark.removeEventListener("change", draw);
      plot?.destroy();
    };
  }, [props]);
  return <div class="chart" role="img" aria-label={props.label} ref={box} />;
}
