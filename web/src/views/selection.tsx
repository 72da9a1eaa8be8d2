/** What can be done with those that are selected, before the list's lower edge. */
import { useState } from "preact/hooks";
import { hasEnded, type Mode } from "quell-client";
import { plural } from "../format.js";
import { known } from "../live.js";
import { quell } from "../session.js";
import { tell } from "../toast.js";
import { troubleOf } from "../trouble.js";

const AT_ONCE = 6;
/** From this many on the number is typed, so that nobody stops them by a slip. */
const TYPED = 10;

interface Props {
  ids: ReadonlySet<string>;
  onClear: () => void;
}

export function Selection({ ids, onClear }: Props) {
  const [mode, setMode] = useState<Mode>("cancel");
  const [typed, setTyped] = useState("");
  const [done, setDone] = useState<number | null>(null);
  if (!ids.size) return null;
  const live = [...ids].filter((id) => !hasEnded(known(id)?.status ?? "succeeded"));
  const queued = live.filter((id) => known(id)?.status === "queued").length;
  const ready = live.length > 0 && done === null && (live.length < TYPED || typed === String(live.length));
  const run = async () => {
    setDone(0);
    await stopAll(live, mode, setDone);
    setDone(null);
    setTyped("");
    onClear();
  };
  return (
    <section class="selection" aria-label="Selected evaluations">
      <p>
        <b>{plural(ids.size, "evaluation")} selected.</b> {preview(live.length, queued, mode)}
      </p>
      <div class="selection-acts">
        <select aria-label="How to stop them" value={mode} onChange={(event) => setMode(event.currentTarget.value as Mode)}>
          <option value="cancel">Cancel</option>
          <option value="terminate">Force Stop</option>
          <option value="kill">Kill Container</option>
        </select>
        {live.length >= TYPED && (
          <label>
            Type {live.length} to confirm
            <input
              class="typed"
              inputMode="numeric"
              value={typed}
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          </label>
        )}
        <button class={mode === "kill" ? "danger" : "primary"} disabled={!ready} onClick={() => void run()}>
          {done === null ? `Stop ${live.length}` : `${done} of ${live.length}…`}
        </button>
        <button class="quiet" onClick={onClear}>
          Clear
        </button>
      </div>
      {done !== null && <progress max={live.length} value={done} aria-label="Stops that were answered" />}
    </section>
  );
}

function preview(live: number, queued: number, mode: Mode): string {
  if (!live) return "All of them have ended: there is nothing to stop.";
  const verb = { cancel: "ask", terminate: "send SIGTERM to", kill: "kill" }[mode];
  const running = live - queued;
  const parts = [];
  if (queued) parts.push(`take ${queued} out of the queue`);
  if (running) parts.push(`${verb} ${running} that ${running === 1 ? "runs" : "run"}`);
  return `This would ${parts.join(" and ")}.`;
}

async function stopAll(ids: string[], mode: Mode, onDone: (done: number) => void): Promise<void> {
  const left = [...ids];
  const refused: string[] = [];
  let done = 0;
  const work = async () => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      try {
        await quell.stop(id, mode, { wait: 0 });
      } catch (error) {
        refused.push(`${id}: ${troubleOf(error).what}`);
      }
      onDone(++done);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (refused.length) tell(`${refused.length} were refused. ${refused[0]}`, undefined, "trouble");
  else tell(`${plural(ids.length, "stop")} asked for; each is shown as it comes to its end.`);
}
