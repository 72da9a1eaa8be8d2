/** Single numbers, and rows of bars with their numbers beside them. */
import { count } from "../format.js";

interface TileProps {
  name: string;
  value: string;
  hint?: string;
  alarm?: boolean;
}

export function Tile({ name, value, hint, alarm }: TileProps) {
  return (
    <div class={`tile ${alarm ? "alarm" : ""}`} title={hint}>
      <span>{name}</span>
      <b>{value}</b>
    </div>
  );
}

export function Bars({ rows, none }: { rows: readonly [string, number][]; none: string }) {
  const most = Math.max(1, ...rows.map(([, number]) => number));
  if (!rows.length) return <p class="hint">{none}</p>;
  return (
    <dl class="bars">
      {rows.map(([name, number]) => (
        <div key={name}>
          <dt>{name.replace("_", " ")}</dt>
          <dd>
            <i style={{ width: `${(100 * number) / most}%` }} />
            <span>{count(number)}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}
