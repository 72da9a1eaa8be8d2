/** What shall run, and within which limits. */
import { useState } from "preact/hooks";
import { Refused, type Submission } from "quell-client";
import { draft, keepDraft } from "../drafts.js";
import { EXAMPLES } from "../examples.js";
import { put } from "../live.js";
import { Editor } from "../parts/editor.js";
import { TroubleBox } from "../parts/trouble.js";
import { evaluationHref, go } from "../router.js";
import { quell } from "../session.js";
import { Limits } from "./limits.js";

const LANGUAGES = ["python", "bash", "node", "c"];

export function SubmitView() {
  const [what, setWhat] = useState<Submission>(() => draft() ?? EXAMPLES[0]!.submission);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const keep = (next: Submission) => {
    setWhat(next);
    keepDraft(next);
  };
  const change = (more: Submission) => keep({ ...what, ...more });
  /** The code stays as it is, and becomes the program that a shell is given; or the other way round. */
  const speak = (language: string) => {
    const { code, command, language: _before, ...rest } = what;
    if (language) keep({ ...rest, language, code: code ?? command?.at(-1) ?? "" });
    else keep({ ...rest, command: ["sh", "-c", code ?? ""] });
  };
  const choose = (submission: Submission) => {
    keep(submission);
    setError(null);
  };
  const submit = async () => {
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      const made = await quell.submit(what);
      put(made);
      go(evaluationHref(made.eval_id));
    } catch (refusal) {
      setError(refusal);
      setBusy(false);
    }
  };
  return (
    <form
      class="submit"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <div class="submit-code">
        <div class="submit-head">
          <h1>Submit</h1>
          <label for="language">Language</label>
          <select
            id="language"
            value={what.command ? "" : (what.language ?? "python")}
            onChange={(event) => speak(event.currentTarget.value)}
          >
            <option value="">a command</option>
            {LANGUAGES.map((language) => (
              <option key={language}>{language}</option>
            ))}
          </select>
        </div>
        <label class="visually-hidden" for="code">
          {what.command ? "Command" : "Code"}
        </label>
        {what.command ? (
          <Command command={what.command} onCommand={(command) => change({ command })} onSubmit={() => void submit()} />
        ) : (
          <Editor
            id="code"
            value={what.code ?? ""}
            language={what.language ?? "python"}
            onInput={(code) => change({ code })}
            onSubmit={() => void submit()}
          />
        )}
        {error !== null && <TroubleBox error={error} />}
        <button class="primary submit-go" disabled={busy || !(what.code || what.command?.length)}>
          {busy ? "Submitting…" : "Submit"}
        </button>
      </div>
      <div class="submit-side">
        <section>
          <h2>Examples</h2>
          <ul class="examples">
            {EXAMPLES.map((example) => (
              <li key={example.name}>
                <button type="button" class="example" onClick={() => choose(example.submission)}>
                  <b>{example.name}</b> <span>{example.shows}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
        <Limits what={what} change={change} wrong={error instanceof Refused ? error.problem.field : undefined} />
      </div>
    </form>
  );
}

interface CommandProps {
  command: string[];
  onCommand: (command: string[]) => void;
  onSubmit: () => void;
}

/** The program and its arguments as JSON, so that nothing in them needs to be told apart by a guess. */
function Command({ command, onCommand, onSubmit }: CommandProps) {
  const [text, setText] = useState(() => JSON.stringify(command, null, 2));
  const wrong = !readCommand(text);
  const write = (now: string) => {
    setText(now);
    const read = readCommand(now);
    if (read) onCommand(read);
  };
  return (
    <>
      <Editor id="code" value={text} language="node" onInput={write} onSubmit={() => wrong || onSubmit()} />
      {wrong && (
        <p class="trouble" role="alert">
          A command is the program and its arguments as a list: <code>["sh", "-c", "date"]</code>
        </p>
      )}
    </>
  );
}

function readCommand(text: string): string[] | null {
  try {
    const read: unknown = JSON.parse(text);
    const fits = Array.isArray(read) && read.length > 0 && read.every((word) => typeof word === "string");
    return fits ? (read as string[]) : null;
  } catch {
    return null;
  }
}
