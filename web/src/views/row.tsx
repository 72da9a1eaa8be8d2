/** One evaluation in the list. */
import { type Evaluation, hasEnded } from "quell-client";
import { useEffect, useState } from "preact/hooks";
import { ago, dateTime, now, span, ticking } from "../format.js";
import { StatusBadge } from "../parts/status.js";
import { evaluationHref, go } from "../router.js";
import { restore, stop } from "../stops.js";
import { ending } from "../words.js";
import { memo } from "./memo.js";

const NARROW = "(max-width: 760px)";

/** Rows have two lines where there is no room for one. */
export function useRowHeight(): number {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const media = matchMedia(NARROW);
    const look = () => setNarrow(media.matches);
    media.addEventListener("change", look);
    return () => media.removeEventListener("change", look);
  }, []);
  return narrow ? 64 : 38;
}

interface HeadProps {
  list: readonly Evaluation[];
  selected: ReadonlySet<string>;
  onSelect: (ids: ReadonlySet<string>) => void;
}

export function RowHead({ list, selected, onSelect }: HeadProps) {
  const all = list.length > 0 && list.every((row) => selected.has(row.eval_id));
  const toggle = () => onSelect(all ? new Set() : new Set(list.map((row) => row.eval_id)));
  return (
    <div role="rowgroup">
      <div class="row head" role="row" aria-rowindex={1}>
        <span role="columnheader" class="c-check">
          <input
            type="checkbox"
            aria-label={`Select all ${list.length} that are shown`}
            checked={all}
            indeterminate={!all && selected.size > 0}
            onChange={toggle}
          />
        </span>
        <span role="columnheader" class="c-status">Status</span>
        <span role="columnheader" class="c-id">Evaluation</span>
        <span role="columnheader" class="c-language">Language</span>
        <span role="columnheader" class="c-owner">Owner</span>
        <span role="columnheader" class="c-labels">Labels</span>
        <span role="columnheader" class="c-when">Submitted</span>
        <span role="columnheader" class="c-took">Ran for</span>
        <span role="columnheader" class="c-end">End</span>
        <span role="columnheader" class="c-act">
          <span class="visually-hidden">Action</span>
        </span>
      </div>
    </div>
  );
}

interface RowProps {
  index: number;
  evaluation: Evaluation;
  selected: boolean;
  onSelect: (id: string, on: boolean) => void;
}

export const Row = memo(({ index, evaluation, selected, onSelect }: RowProps) => {
  const { eval_id: id, status, labels } = evaluation;
  return (
    <div
      class={selected ? "row selected" : "row"}
      role="row"
      aria-rowindex={index + 2}
      data-index={index}
      data-id={id}
      onPointerEnter={sayWhen}
    >
      <span role="cell" class="c-check">
        <input
          type="checkbox"
          aria-label={`Select ${id}`}
          checked={selected}
          onChange={(event) => onSelect(id, event.currentTarget.checked)}
        />
      </span>
      <span role="cell" class="c-status">
        <StatusBadge status={status} />
      </span>
      <span role="cell" class="c-id">
        <a href={evaluationHref(id)} title={id}>
          {id}
        </a>
        {evaluation.attempt > 1 && <small title="attempt"> ×{evaluation.attempt}</small>}
      </span>
      <span role="cell" class="c-language">{evaluation.language ?? "command"}</span>
      <span role="cell" class="c-owner">{evaluation.owner}</span>
      <span role="cell" class="c-labels">
        {Object.entries(labels).map(([key, value], nth) => (
          <span key={nth} class="label">
            {`${key}=${value}`}
          </span>
        ))}
      </span>
      <span role="cell" class="c-when" data-at={evaluation.created_at}>
        <Ago at={evaluation.created_at} />
      </span>
      <span role="cell" class="c-took">
        <RanFor evaluation={evaluation} />
      </span>
      <span role="cell" class="c-end">{ending(evaluation)}</span>
      <span role="cell" class="c-act">
        <RowAction evaluation={evaluation} />
      </span>
    </div>
  );
});

/** Made for the one that is pointed at: a time in full takes long to write. */
function sayWhen(event: PointerEvent & { currentTarget: HTMLElement }): void {
  const cell = event.currentTarget.querySelector<HTMLElement>("[data-at]")!;
  cell.title = dateTime(cell.dataset["at"]!);
}

/** These alone are made anew as the time goes on. */
function Ago({ at }: { at: string }) {
  return <>{ago(at, now.value)}</>;
}

function RanFor({ evaluation }: { evaluation: Evaluation }) {
  return <>{ranFor(evaluation)}</>;
}

export function ranFor(evaluation: Evaluation): string {
  if (!evaluation.started_at) return "";
  const began = Date.parse(evaluation.started_at);
  if (evaluation.finished_at) return span(Date.parse(evaluation.finished_at) - began);
  return ticking(now.value - began);
}

/** What is queued is cancelled at once; what runs is a decision, which has a page. */
function RowAction({ evaluation }: { evaluation: Evaluation }) {
  const { eval_id: id, status, cancellation } = evaluation;
  if (status === "queued")
    return (
      <button class="quiet small" aria-label={`Cancel ${id}`} onClick={() => void stop(id, "cancel")}>
        Cancel
      </button>
    );
  const word = status === "cancelling" ? "Stopping…" : "Cancel…";
  if (!hasEnded(status))
    return (
      <button class="quiet small" aria-label={`${word} ${id}`} onClick={() => go(evaluationHref(id))}>
        {word}
      </button>
    );
  if (cancellation?.outcome !== "removed") return null;
  return (
    <button class="plain small" aria-label={`Undo the cancel of ${id}`} onClick={() => void restore(id)}>
      Undo
    </button>
  );
}
