/** What it says, as it says it. */
import { type Evaluation, hasEnded, type Stream } from "quell-client";
import { memo } from "./memo.js";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { bytes, plural } from "../format.js";
import { TroubleBox } from "../parts/trouble.js";
import { quell } from "../session.js";
import { tellTrouble } from "../toast.js";
import { find, type Hit, type Lines } from "./lines.js";
import { save } from "./save.js";
import { useOutput } from "./follow.js";

type Which = "both" | Stream;
const TABS: readonly [Which, string][] = [
  ["both", "Output"],
  ["stdout", "stdout"],
  ["stderr", "stderr"],
];

export function Output({ evaluation }: { evaluation: Evaluation }) {
  const [which, setWhich] = useState<Which>("both");
  const [attempt, setAttempt] = useState<number | null>(null);
  const [wrap, setWrap] = useState(true);
  const [follow, setFollow] = useState(true);
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const shown = attempt ?? evaluation.attempt;
  const begun = evaluation.started_at !== null || shown < evaluation.attempt;
  const { lines, error } = useOutput(evaluation.eval_id, shown, which === "both" ? undefined : which, begun);
  const hits = useMemo(() => find(lines, query), [lines, query]);
  const hit = hits.length ? Math.min(at, hits.length - 1) : 0;
  const move = (by: number) => {
    setFollow(false);
    setAt((hit + by + hits.length) % Math.max(1, hits.length));
  };
  const download = async () => {
    try {
      const stream = which === "both" ? undefined : which;
      const content = await quell.output(evaluation.eval_id, { attempt: shown, stream });
      save(`${evaluation.eval_id}-${shown}-${which === "both" ? "output" : which}.txt`, content, "text/plain");
    } catch (refusal) {
      tellTrouble(refusal);
    }
  };
  return (
    <section class="output" aria-label="Output">
      <div class="output-bar">
        <div class="tabs" role="group" aria-label="Which stream">
          {TABS.map(([name, label]) => (
            <button key={name} aria-pressed={which === name} onClick={() => setWhich(name)}>
              {label}
            </button>
          ))}
        </div>
        {evaluation.attempt > 1 && (
          <select aria-label="Attempt" value={shown} onChange={(event) => setAttempt(Number(event.currentTarget.value))}>
            {Array.from({ length: evaluation.attempt }, (_, index) => (
              <option key={index} value={index + 1}>
                Attempt {index + 1}
              </option>
            ))}
          </select>
        )}
        <label class="toggle">
          <input type="checkbox" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} /> Follow
        </label>
        <label class="toggle">
          <input type="checkbox" checked={wrap} onChange={(event) => setWrap(event.currentTarget.checked)} /> Wrap
        </label>
        <input
          type="search"
          aria-label="Search the output"
          placeholder="Search"
          value={query}
          onInput={(event) => {
            setQuery(event.currentTarget.value);
            setAt(0);
            setFollow(false);
          }}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            move(event.shiftKey ? -1 : 1);
          }}
        />
        {query && (
          <span class="hits" role="status">
            {hits.length ? `${hit + 1} of ${hits.length}` : "none"}
          </span>
        )}
        <button class="plain small" disabled={!evaluation.output_bytes && !begun} onClick={() => void download()}>
          Download
        </button>
      </div>
      {error !== null && <TroubleBox error={error} />}
      <Text lines={lines} wrap={wrap} follow={follow} onFollow={setFollow} query={query} hit={hits[hit]} />
      <Note evaluation={evaluation} lines={lines} begun={begun} />
    </section>
  );
}

interface TextProps {
  lines: Lines;
  wrap: boolean;
  follow: boolean;
  onFollow: (follow: boolean) => void;
  query: string;
  hit: Hit | undefined;
}

function Text({ lines, wrap, follow, onFollow, query, hit }: TextProps) {
  const box = useRef<HTMLPreElement>(null);
  useLayoutEffect(() => {
    if (follow) box.current!.scrollTop = box.current!.scrollHeight;
  }, [lines, follow, wrap]);
  useEffect(() => {
    if (hit) box.current!.querySelector("mark.here")?.scrollIntoView({ block: "center" });
  }, [hit?.chunk, hit?.nth, query]);
  /** Who scrolls up wants to read there; who comes to the end again wants to go on. */
  const look = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current!;
    const end = scrollHeight - scrollTop - clientHeight < 24;
    if (end !== follow && !query) onFollow(end);
  };
  return (
    <pre
      class={wrap ? "text wrap" : "text"}
      ref={box}
      role="region"
      aria-label="Text of the output"
      tabIndex={0}
      onWheel={look}
      onTouchMove={look}
      onKeyUp={look}
    >
      {lines.chunks.map((chunk, index) => (
        <Chunk key={lines.dropped / 200 + index} text={chunk} query={query} here={hit?.chunk === index ? hit.nth : -1} />
      ))}
    </pre>
  );
}

const Chunk = memo(({ text, query, here }: { text: string; query: string; here: number }) => {
  if (!query) return <div class="chunk">{text}</div>;
  const pieces = [];
  const lower = text.toLowerCase();
  const wanted = query.toLowerCase();
  let from = 0;
  let nth = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    pieces.push(text.slice(from, at));
    from = at + wanted.length;
    pieces.push(<mark class={nth++ === here ? "here" : ""}>{text.slice(at, from)}</mark>);
  }
  pieces.push(text.slice(from));
  return <div class="chunk">{pieces}</div>;
});

function Note({ evaluation, lines, begun }: { evaluation: Evaluation; lines: Lines; begun: boolean }) {
  const nothing = !lines.chunks.some((chunk) => chunk);
  const over = hasEnded(evaluation.status);
  const elsewhere = evaluation.worker?.includes("@");
  let text = "";
  if (!begun && over) text = "It never started, so it said nothing.";
  else if (!begun) text = "It waits for a worker. What it says appears here as it says it.";
  else if (nothing && elsewhere) text = "Its worker keeps what the task itself prints; what its containers write is read as it is stopped.";
  else if (nothing) text = over ? "It said nothing." : "It has said nothing yet.";
  else if (evaluation.output_truncated) text = "Only the first 10 MiB are kept.";
  else if (lines.dropped) text = `The first ${plural(lines.dropped, "line")} are not shown; the download has them all.`;
  else if (evaluation.output_bytes) text = bytes(evaluation.output_bytes);
  return text ? <p class="output-note">{text}</p> : null;
}
