/** How well it stops what it shall stop, and what it needs for that. */
import { useMemo, useState } from "preact/hooks";
import type { Readiness } from "quell-client";
import { useCounts } from "../counts.js";
import { filterOf } from "../filter.js";
import { ago, count, now, span } from "../format.js";
import { rows } from "../live.js";
import { Chart } from "../parts/chart.js";
import { Pick } from "../parts/pick.js";
import { TroubleBox } from "../parts/trouble.js";
import { Bars, Tile } from "./figures.js";
import { sum } from "./metrics.js";
import { type Health, health, MOST_RECORDS, useHealth } from "./records.js";
import { byCause, histogram, latencies, overTime, percentile, waste, workers } from "./stats.js";
import { CAUSE_NAME } from "../words.js";
import { Outcomes } from "./outcomes.js";

const EVERYTHING = filterOf(new URLSearchParams());
const PIECES = 60;
const SPANS: readonly [number, string][] = [
  [0.25, "15 minutes"],
  [1, "hour"],
  [24, "day"],
  [168, "week"],
];

export function HealthView() {
  const [hours, setHours] = useState(1);
  useHealth(hours);
  const seen = health.value;
  return (
    <div class="health">
      <div class="health-head">
        <h1>Health</h1>
        {seen?.ready && <Ready ready={seen.ready} />}
        <Pick label="The last" value={hours} options={SPANS} onPick={setHours} />
      </div>
      {seen?.error && <TroubleBox error={seen.error} />}
      {seen ? <Figures seen={seen} /> : <p class="reading">Reading the records of stops…</p>}
    </div>
  );
}

function Ready({ ready }: { ready: Readiness }) {
  const words = {
    ready: "Ready: submits and stops are taken",
    starting: "Starting: what ran before is taken up",
    unavailable: "Not ready: its store is away",
  };
  return <span class={`ready r-${ready.status}`}>{words[ready.status]}</span>;
}

function Figures({ seen }: { seen: Health }) {
  const { samples, records } = seen;
  const sorted = useMemo(() => latencies(records), [records]);
  const failed = records.filter((record) => record.outcome === "unconfirmed").length;
  const list = rows.value;
  const counts = useCounts(EVERYTHING, list);
  const lost = sum(samples, "quell_orphans_found_total");
  return (
    <>
      <div class="tiles">
        <Tile name="Half stop within" value={ms(percentile(sorted, 0.5))} hint="from the request to the effective stop" />
        <Tile name="95 of 100 within" value={ms(percentile(sorted, 0.95))} />
        <Tile name="99 of 100 within" value={ms(percentile(sorted, 0.99))} />
        <Tile name="Queued" value={count(sum(samples, "quell_queue_depth") ?? counts.queued)} />
        <Tile name="Running" value={count(sum(samples, "quell_live_evaluations", { status: "running" }) ?? counts.running)} />
        <Tile name="Being stopped" value={count(counts.cancelling)} />
        <Tile name="Unconfirmed" value={count(counts.unconfirmed)} alarm={counts.unconfirmed > 0} hint="something may still run" />
        {lost !== null && <Tile name="Orphans found" value={count(lost)} alarm={lost > 0} hint="without a record; see: quell orphans" />}
      </div>
      <div class="panels">
        <Latency seen={seen} sorted={sorted} />
        <section class="panel">
          <h2>Stops by type</h2>
          <Outcomes records={records} />
          {records.length > 0 && (
            <p class="hint">
              {count(records.length)} {records.length === MOST_RECORDS ? "newest " : ""}stops, {count(failed)} of them unconfirmed.
            </p>
          )}
        </section>
        <section class="panel">
          <h2>Failures by cause</h2>
          <Bars rows={byCause(list).map(([cause, number]) => [CAUSE_NAME[cause], number])} none="None of those that are listed failed." />
        </section>
        <WasteMeter seen={seen} />
        <Workers seen={seen} />
        {seen.ready && <Dependencies ready={seen.ready} />}
      </div>
    </>
  );
}

function ms(value: number | null): string {
  if (value === null) return "–";
  return value < 1 ? "< 1 ms" : span(value);
}

function Latency({ seen, sorted }: { seen: Health; sorted: readonly number[] }) {
  const { records, to } = seen;
  const over = useMemo(() => overTime(records, to, PIECES), [records]);
  const series = useMemo(
    () => [
      { name: "half stop within", colour: "--accent", values: over.half },
      { name: "95 of 100 within", colour: "--warn", values: over.most },
    ],
    [over],
  );
  const bars = histogram(sorted).map(({ below, count: found }): [string, number] => [
    below === null ? "longer" : `≤ ${span(below)}`,
    found,
  ]);
  return (
    <section class="panel wide">
      <h2>Time to the effective stop</h2>
      {sorted.length ? (
        <div class="latency">
          <Chart label={`Stop latency: half within ${ms(percentile(sorted, 0.5))}, 95 of 100 within ${ms(percentile(sorted, 0.95))}`} at={over.at} series={series} />
          <Bars rows={bars} none="" />
        </div>
      ) : (
        <p class="hint">Nothing was stopped in this time. Submit an example that refuses to die, and kill it.</p>
      )}
    </section>
  );
}

function WasteMeter({ seen }: { seen: Health }) {
  const { after, thrown, all } = useMemo(() => waste(rows.value, seen.records), [rows.value, seen.records]);
  const burnt = sum(seen.samples, "quell_cpu_burnt_seconds_total");
  const saved = sum(seen.samples, "quell_cpu_saved_seconds_total");
  const part = all ? Math.min(100, (100 * thrown) / all) : 0;
  return (
    <section class="panel">
      <h2>Waste</h2>
      <div class="meter" role="meter" aria-valuenow={Math.round(part)} aria-valuemin={0} aria-valuemax={100} aria-label="Run time that was thrown away">
        <i style={{ width: `${part}%` }} />
      </div>
      <p>
        <b>{span(thrown)}</b> of {span(all)} of run time was stopped without a checkpoint to go on from.
      </p>
      <p>
        <b>{span(after)}</b> ran on after somebody asked to stop
        {burnt !== null && ` and used ${span(burnt * 1000)} of processor time since the server's start`}.
      </p>
      {saved !== null && saved > 0 && (
        <p>
          <b>{span(saved * 1000)}</b> of processor time are saved by stops, as others of the same language went on.
        </p>
      )}
    </section>
  );
}

function Workers({ seen }: { seen: Health }) {
  const found = workers(rows.value);
  const used = sum(seen.samples, "quell_slots", { state: "used" });
  const free = sum(seen.samples, "quell_slots", { state: "free" });
  return (
    <section class="panel">
      <h2>Workers</h2>
      {used !== null && free !== null && used + free > 0 && (
        <p>
          <b>{used}</b> of {used + free} slots are taken. A slot is freed by evidence that its run ended.
        </p>
      )}
      {found.length ? (
        <table>
          <thead>
            <tr>
              <th scope="col">Worker</th>
              <th scope="col">Running</th>
              <th scope="col">Being stopped</th>
              <th scope="col">Unconfirmed</th>
            </tr>
          </thead>
          <tbody>
            {found.map((worker) => (
              <tr key={worker.name}>
                <th scope="row">{worker.name}</th>
                <td>{worker.running}</td>
                <td>{worker.cancelling}</td>
                <td>{worker.unconfirmed}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p class="hint">Nothing runs now.</p>
      )}
    </section>
  );
}

function Dependencies({ ready }: { ready: Readiness }) {
  return (
    <section class="panel wide">
      <h2>What it depends on</h2>
      <ul class="dependencies">
        {Object.entries(ready.dependencies).map(([name, { state, detail, since, backlog }]) => (
          <li key={name} class={`d-${state}`}>
            <b>{name}</b> <span class="d-state">{state}</span>
            <span class="d-detail">
              {detail}
              {since && <span class="muted"> since {ago(since, now.value)}</span>}
              {backlog !== null && backlog > 0 && <span> {count(backlog)} wait to be told to it.</span>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
