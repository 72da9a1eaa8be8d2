/** What it is, where it runs, and how it ended. */
import type { Evaluation } from "quell-client";
import type { ComponentChildren } from "preact";
import { ago, bytes, dateTime, now } from "../format.js";
import { Copy } from "../parts/copy.js";
import { tellTrouble } from "../toast.js";
import { quell } from "../session.js";
import { ranFor } from "./row.js";
import { save } from "./save.js";

export function Facts({ evaluation }: { evaluation: Evaluation }) {
  const { container, checkpoint, labels } = evaluation;
  return (
    <section class="facts">
      <h2>Facts</h2>
      <dl>
        <Fact name="Task">
          <code>{evaluation.task_id}</code> <Copy small label="Copy" text={() => evaluation.task_id} />
        </Fact>
        <Fact name="Attempt">{evaluation.attempt}</Fact>
        <Fact name="Owner">{evaluation.owner}</Fact>
        <Fact name="Runs">{evaluation.language ?? "a command"}</Fact>
        <Fact name="Queue">
          {evaluation.queue ?? "none"}, priority {evaluation.priority}
        </Fact>
        <Fact name="Labels">
          {Object.entries(labels).map(([key, value]) => (
            <span key={key} class="label">
              {key}={value}
            </span>
          ))}
        </Fact>
        <Fact name="Session">{evaluation.session}</Fact>
        <Time name="Submitted" at={evaluation.created_at} />
        <Time name="Started" at={evaluation.started_at} />
        <Time name="Ended" at={evaluation.finished_at} />
        <Fact name="Ran for">{ranFor(evaluation)}</Fact>
        <Fact name="Worker">{evaluation.worker}</Fact>
        <Fact name="Container">
          {container && (
            <>
              {container.name && `${container.name} (${container.image}), `}
              {container.state && `${container.state}, `}
              {container.runtime} <code>{container.id}</code>
            </>
          )}
        </Fact>
        <Fact name="Exit code">{evaluation.exit_code}</Fact>
        <Fact name="Signal">{evaluation.signal}</Fact>
        <Fact name="Checkpoint">{checkpoint && <Checkpoint evaluation={evaluation} />}</Fact>
      </dl>
    </section>
  );
}

/** What is not known takes no room. */
function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  const empty = children === null || children === undefined || children === "";
  if (empty || (Array.isArray(children) && !children.length)) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Time({ name, at }: { name: string; at: string | null }) {
  if (!at) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd title={at}>
        {dateTime(at)} <span class="muted">{ago(at, now.value)}</span>
      </dd>
    </div>
  );
}

function Checkpoint({ evaluation }: { evaluation: Evaluation }) {
  const { eval_id: id, checkpoint } = evaluation;
  const download = async () => {
    try {
      save(`${id}-checkpoint.tar`, await quell.checkpoint(id), "application/x-tar");
    } catch (error) {
      tellTrouble(error);
    }
  };
  return (
    <>
      {bytes(checkpoint!.bytes)}, {ago(checkpoint!.at, now.value)}{" "}
      <button class="plain small" onClick={() => void download()}>
        Download
      </button>
    </>
  );
}
