/** A policy that would stop more than half of what lives is said twice: by its number, typed. */
import { Refused } from "quell-client";
import { useState } from "preact/hooks";
import { count } from "../format.js";

export interface Half {
  stops: number;
  live: number;
}

/** Both numbers, where that is why it was refused. */
export function halfOf(error: unknown): Half | null {
  if (!(error instanceof Refused)) return null;
  const { would_stop: stops, live } = error.problem;
  return stops === undefined || live === undefined ? null : { stops, live };
}

interface Props {
  half: Half;
  what: string;
  onYes: () => void;
  onNo: () => void;
}

export function ConfirmHalf({ half, what, onYes, onNo }: Props) {
  const [typed, setTyped] = useState("");
  return (
    <div class="half" role="alert">
      <p>
        <strong>
          It would stop {count(half.stops)} of the {count(half.live)} that live now.
        </strong>{" "}
        That is more than half: say it again if it is meant.
      </p>
      <div class="new-key">
        <label>
          Type {half.stops} to confirm
          <input inputMode="numeric" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
        </label>
        <button type="button" class="danger" disabled={typed !== String(half.stops)} onClick={onYes}>
          {what}
        </button>
        <button type="button" class="quiet" onClick={onNo}>
          Leave it
        </button>
      </div>
    </div>
  );
}
