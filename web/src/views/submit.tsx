/** What shall run, and within which limits. */
import { useState } from "preact/hooks";
import { Refused, type Submission } from "quell-client";
import { draft, keepDraft, keepSent } from "../drafts.js";
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
  const change = (more: Submission) => {
    const next = { ...what, ...more };
    setWhat(next);
    keepDraft(next);
  };
  const choose = (submission: Submission) => {
    setWhat(submission);
    keepDraft(submission);
    setError(null);
  };
  const submit = async () => {
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      const made = await quell.submit(what);
      put(made);
      keepSent(made.eval_id, what);
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
            value={what.language ?? "python"}
            onChange={(event) => change({ language: event.currentTarget.value })}
          >
            {LANGUAGES.map((language) => (
              <option key={language}>{language}</option>
            ))}
          </select>
        </div>
        <label class="visually-hidden" for="code">
          Code
        </label>
        <Editor
          id="code"
          value={what.code ?? ""}
          language={what.language ?? "python"}
          onInput={(code) => change({ code })}
          onSubmit={() => void submit()}
        />
        {error !== null && <TroubleBox error={error} />}
        <button class="primary submit-go" disabled={busy || !what.code}>
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
