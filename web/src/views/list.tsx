/** All evaluations, as they change. */
import type { Evaluation } from "quell-client";
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { count } from "../format.js";
import { type Filter, filterOf, isEmpty, lineOf, matchesWords, readLine, selectorOf, toggled, wordsOf } from "../filter.js";
import { complete, loaded, MOST, rows } from "../live.js";
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
  const list = shown.value;
  const select = (id: string, on: boolean) => {
    const ids = new Set(selected.value);
    if (on) ids.add(id);
    else ids.delete(id);
    selected.value = ids;
  };
  if (loaded.value && !rows.value.length) return <FirstStep />;
  return (
    <div class="list">
      <h1 class="visually-hidden">Evaluations</h1>
      <Filters filter={filter.value} all={named.value} />
      <VirtualTable
        label="Evaluations"
        count={list.length}
        rowHeight={rowHeight}
        header={<RowHead list={list} selected={selected.value} onSelect={(ids) => (selected.value = ids)} />}
        row={(index) => (
          <Row
            key={list[index]!.eval_id}
            index={index}
            evaluation={list[index]!}
            selected={selected.value.has(list[index]!.eval_id)}
            onSelect={select}
          />
        )}
      />
      <Footer shown={list.length} filter={filter.value} />
      <Selection ids={selected.value} onClear={() => (selected.value = new Set())} />
    </div>
  );
}

function Filters({ filter, all }: { filter: Filter; all: readonly Evaluation[] }) {
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
  const counts = new Map(STATUSES.map((status) => [status, 0]));
  for (const row of all) counts.set(row.status, counts.get(row.status)! + 1);
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
            {status} <b>{count(counts.get(status)!)}</b>
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

function Footer({ shown, filter }: { shown: number; filter: Filter }) {
  if (!loaded.value) return <p class="list-foot">Reading the list…</p>;
  const held = rows.value.length;
  const selector = isEmpty(filter) ? null : selectorOf(filter);
  return (
    <p class="list-foot">
      {isEmpty(filter) ? `${count(held)} evaluations` : `${count(shown)} of ${count(held)} evaluations`}
      {!complete.value && held >= MOST && `; the newest ${count(MOST)} and all that live are shown`}
      {!complete.value && held < MOST && "; more are being read…"}
      {shown > 0 && selector !== null && (
        <a class="stop-these" href={href("/batches", new URLSearchParams({ selector }))}>
          Stop all of these…
        </a>
      )}
      {!isEmpty(filter) && (
        <button class="plain small" onClick={() => refine(new URLSearchParams())}>
          Show all
        </button>
      )}
    </p>
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
