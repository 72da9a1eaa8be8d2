/** Takes the audit along as a file, and says whether it is whole. */
import { useState } from "preact/hooks";
import { canVerify, type Verdict, verify } from "../chain.js";
import { plural } from "../format.js";
import { TroubleBox } from "../parts/trouble.js";
import { quell } from "../session.js";
import { save } from "./save.js";

async function lines(): Promise<string[]> {
  const all: string[] = [];
  for await (const line of quell.exportAudit()) all.push(line);
  return all;
}

export function Whole() {
  const [busy, setBusy] = useState(false);
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const [error, setError] = useState<unknown>(null);
  const act = async (work: (all: string[]) => unknown) => {
    setBusy(true);
    setError(null);
    try {
      await work(await lines());
    } catch (refusal) {
      setError(refusal);
    }
    setBusy(false);
  };
  const hold = async (all: string[]) => setVerdict(await verify(all));
  const keep = (all: string[]) => save("audit.jsonl", all.join(""), "application/x-ndjson");
  return (
    <>
      <div class="whole">
        <button
          class="quiet small"
          disabled={busy || !canVerify()}
          title={canVerify() ? undefined : "Browsers can do this over https or on loopback alone: use quell audit verify."}
          onClick={() => void act(hold)}
        >
          Verify
        </button>
        <button class="quiet small" disabled={busy} onClick={() => void act(keep)}>
          Export
        </button>
        <span class="hint">All rows, as {<code>quell audit verify</code>} checks them without a server.</span>
      </div>
      {error !== null && <TroubleBox error={error} />}
      {verdict && <Said verdict={verdict} />}
    </>
  );
}

function Said({ verdict: { rows, last, broken, signedBy } }: { verdict: Verdict }) {
  if (broken)
    return (
      <div class="trouble" role="alert">
        <strong>The audit is not whole:</strong> {broken}. Keep the export, and hold it against an older one.
      </div>
    );
  return (
    <p class="holds" role="status">
      <b>{plural(rows, "row")} hold, up to row {last}.</b>{" "}
      {signedBy ? (
        <>
          Signed by <code>{signedBy}</code>
        </>
      ) : (
        "This browser knows no Ed25519: quell audit verify checks the signature too."
      )}
    </p>
  );
}
