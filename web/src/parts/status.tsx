/** A status, by shape, colour and word: no one of them alone carries it. */
import type { Status } from "quell-client";
import { STATUS_MEANS } from "../words.js";

const SHAPES: Record<Status, string> = {
  queued: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3l2 1.5",
  running: "M5.5 3.5v9l7-4.5z",
  cancelling: "M4 4h8v8H4z M1.5 8h2 M12.5 8h2",
  succeeded: "M3 8.5l3.5 3.5L13 4.5",
  failed: "M4 4l8 8M12 4l-8 8",
  cancelled: "M4 4h8v8H4z",
  unconfirmed: "M8 2L14.5 13.5h-13z M8 6.5v3 M8 11.4v.4",
};
const SOLID: readonly Status[] = ["running", "cancelled"];

export function Glyph({ status }: { status: Status }) {
  return (
    <svg class={`glyph ${SOLID.includes(status) ? "solid" : ""}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={SHAPES[status]} />
    </svg>
  );
}

export function StatusBadge({ status }: { status: Status }) {
  return (
    <span class={`status s-${status}`} title={STATUS_MEANS[status]}>
      <Glyph status={status} />
      {status}
    </span>
  );
}
