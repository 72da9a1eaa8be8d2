/** All evaluations, as they change. */
import { useComputed, useSignal } from "@preact/signals";
import { useCallback, useEffect, useRef } from "preact/hooks";
import { type Counts, total, useCounts } from "../counts.js";
import { count, plural } from "../format.js";
import { type Filter, filterOf, isEmpty, lineOf, matchesWords, readLine, selectorOf, toggled, wordsOf } from "../filter.js";
import { complete, find, loaded, MOST, rows } from "../live.js";
import { Glyph } from "../parts/status.js";
import { VirtualTable } from "../parts/virtual.js";
import { href, place, refine } from "../router.js";
import { STATUS_MEANS, STATUSES } from "../words.js";
import { Row, RowHead, useRowHeight } from "./row.js";
import { Selection } from "./selection.js";

export function ListView() {
  const filter = useComputed(() => filterOf(place.value.words));
  const named = useComputed(() => rows.value.filter((row) => matchesWords(filter.value, row)));
  const shown = useComputed(() => {
    const { statuses } = filter.value;
    return statuses.size ? named.value.filter((row) => statuses.has(row.status)) : named.value;
  });
  const selected = useSignal<ReadonlySet<string>>(new Set());
  const rowHeight = useRowHeight();
  const counts = useCounts(filter.value, named.value);
  useFound(filter.value);
  const list = shown.value;
  const select = useCallback((id: string, on: boolean) => {
    const ids = new Set(selected.peek());
    if (on) ids.add(id);
    else ids.delete(id);
    selected.value = ids;
  }, []);
  if (loaded.value && !rows.value.length) return <FirstStep />;
  return (
    <div class="list">
      <h1 class="visually-hidden">Evaluations</h1>
      <Filters filter={filter.value} counts={counts} />
      {loaded.value && !list.length ? (
        <NoMatch />
      ) : (
        <VirtualTable
          label="Evaluations"
          count={list.length}
          rowHeight={rowHeight}
          header={<RowHead list={list} selected={selected.value} onSelect={(ids) => (selected.value = ids)} />}
          id={(index) => list[index]!.eval_id}
          row={(index, key) => (
            <Row
              key={key}
              index={index}
              evaluation={list[index]!}
              selected={selected.value.has(list[index]!.eval_id)}
              onSelect={select}
            />
          )}
        />
      )}
      <Footer shown={list.length} filter={filter.value} counts={counts} />
      <Selection ids={selected.value} onClear={() => (selected.value = new Set())} />
    </div>
  );
}

/** Where not everything is held, what a filter names is read for it. */
function useFound(filter: Filter): void {
  const wanted = isEmpty(filter) || !loaded.value || complete.value || rows.value.length < MOST ? null : selectorOf(filter);
  useEffect(() => {
    if (!wanted) return undefined;
    const end = new AbortController();
    void find(wanted, end.signal);
    return () => end.abort();
  }, [wanted]);
}

function Filters({ filter, counts }: { filter: Filter; counts: Counts }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const typing = (event.target as Element).matches("input, textarea, select");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  return (
    <div class="filters">
      <div class="chips" role="group" aria-label="Show these statuses">
        {STATUSES.map((status) => (
          <button
            key={status}
            class={`chip s-${status}`}
            aria-pressed={filter.statuses.has(status)}
            title={STATUS_MEANS[status]}
            onClick={() => refine(wordsOf(toggled(filter, status)))}
          >
            <Glyph status={status} />
            {status} <b>{count(counts[status])}</b>
          </button>
        ))}
      </div>
      <div class="search">
        <input
          ref={input}
          type="search"
          aria-label="Filter: text, owner:NAME, label:KEY=VALUE"
          placeholder="Filter: text, owner:alice, label:team=red"
          value={lineOf(filter)}
          onInput={(event) => refine(wordsOf(readLine(event.currentTarget.value, filter)))}
        />
        <kbd aria-hidden="true">/</kbd>
      </div>
    </div>
  );
}

function Footer({ shown, filter, counts }: { shown: number; filter: Filter; counts: Counts }) {
  if (!loaded.value) return <p class="list-foot">Reading the list…</p>;
  const held = rows.value.length;
  const selector = isEmpty(filter) ? null : selectorOf(filter);
  return (
    <p class="list-foot">
      {isEmpty(filter) ? plural(total(counts), "evaluation") : `${count(shown)} of ${count(held)} evaluations`}
      {!complete.value && held >= MOST && `; the newest ${count(MOST)} and all that live are shown`}
      {!complete.value && held < MOST && "; more are being read…"}
      {shown > 0 && selector !== null && (
        <a class="stop-these" href={href("/batches", new URLSearchParams({ selector }))}>
          Stop all of these…
        </a>
      )}
      {!isEmpty(filter) && shown > 0 && (
        <button class="plain small" onClick={() => refine(new URLSearchParams())}>
          Show all
        </button>
      )}
    </p>
  );
}

function NoMatch() {
  return (
    <div class="empty">
      <h2>Nothing matches</h2>
      <p>
        {complete.value
          ? `None of ${plural(rows.value.length, "evaluation")} is what the filter names.`
          : "Nothing of what was read so far is what the filter names."}
      </p>
      <p>
        <button class="quiet" onClick={() => refine(new URLSearchParams())}>
          Show all
        </button>
      </p>
    </div>
  );
}

function FirstStep() {
  return (
    <div class="empty">
      <h1>Nothing has run yet</h1>
      <p>
        An evaluation is somebody's code, run in a sandbox. Start one that counts, stop it, and see the proof that nothing
        of it is left.
      </p>
      <p>
        <a class="button primary" href={href("/submit")}>
          Submit the first one
        </a>
      </p>
      <p class="hint">
        Or from a terminal: <code>echo 'print(1)' | build/quell run --lang python -</code>
      </p>
    </div>
  );
}
