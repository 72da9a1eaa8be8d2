/** What can be done with those that are selected, before the list's lower edge. */
import { useState } from "preact/hooks";
import type { Mode } from "quell-client";
import { plural } from "../format.js";
import { batchHref, go } from "../router.js";
import { quell } from "../session.js";
import { tellTrouble } from "../toast.js";
import { ModeSelect } from "./modeselect.js";

interface Props {
  ids: ReadonlySet<string>;
  onClear: () => void;
}

/** Nothing is stopped from here: a preview of it is made, and looked at first. */
export function Selection({ ids, onClear }: Props) {
  const [mode, setMode] = useState<Mode>("cancel");
  const [busy, setBusy] = useState(false);
  if (!ids.size) return null;
  const preview = async () => {
    setBusy(true);
    try {
      const made = await quell.previewBatch({ ids: [...ids], mode });
      onClear();
      go(batchHref(made.batch_id));
    } catch (error) {
      tellTrouble(error);
    }
    setBusy(false);
  };
  return (
    <section class="selection" aria-label="Selected evaluations">
      <p>
        <b>{plural(ids.size, "evaluation")} selected.</b>
      </p>
      <div class="selection-acts">
        <ModeSelect mode={mode} onMode={setMode} />
        <button class="primary" disabled={busy} onClick={() => void preview()}>
          See what that would do
        </button>
        <button class="quiet" onClick={onClear}>
          Clear
        </button>
      </div>
    </section>
  );
}
