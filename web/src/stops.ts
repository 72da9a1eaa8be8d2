/** Asking for stops, and taking them back. What comes of it arrives as events. */
import { useEffect, useState } from "preact/hooks";
import { type Cancellation, type Evaluation, hasEnded, type Mode, type StopOptions } from "quell-client";
import { put } from "./live.js";
import { quell } from "./session.js";
import { tell, tellTrouble } from "./toast.js";
import { MODE_NAME, OUTCOME_MEANS } from "./words.js";

/** Null when the server refused, which is told then. */
export async function stop(
  id: string,
  mode: Mode,
  options: StopOptions = {},
): Promise<Cancellation | null> {
  try {
    const answer = await quell.stop(id, mode, options);
    if (answer.outcome === "removed")
      tell(`${id} is cancelled: it never started.`, { label: "Undo", run: () => void restore(id) });
    else if (answer.outcome) tell(`${id}: ${OUTCOME_MEANS[answer.outcome].toLowerCase()}.`);
    return answer;
  } catch (error) {
    tellTrouble(error);
    return null;
  }
}

export async function restore(id: string): Promise<boolean> {
  return again(id, "restore", "is queued again.");
}

export async function resume(id: string): Promise<boolean> {
  return again(id, "resume", "runs again as the next attempt.");
}

async function again(id: string, verb: "restore" | "resume", done: string): Promise<boolean> {
  try {
    put(await quell[verb](id));
    tell(`${id} ${done}`);
    return true;
  } catch (error) {
    tellTrouble(error);
    return false;
  }
}

/** The stops by which nothing would come of it, as its worker is, each with the reason. */
export type Vain = readonly { mode: Mode; why: string }[];

/** Asked of the server once it is known where it runs; until then nothing is in vain. */
export function useVain({ eval_id: id, worker }: Evaluation): Vain {
  const [vain, setVain] = useState<Vain>([]);
  useEffect(() => {
    setVain([]);
    if (!worker) return undefined;
    const end = new AbortController();
    quell.doctor(id, { signal: end.signal }).then(
      (seen) => setVain(seen.vain),
      () => undefined, // it only helps to choose: the stop itself says what came of it
    );
    return () => end.abort();
  }, [id, worker]);
  return vain;
}

/** Why that stop makes no sense now; null where it does. */
export function whyNot(evaluation: Evaluation, mode: Mode, vain: Vain): string | null {
  const { status, cancellation } = evaluation;
  const found = vain.find((one) => one.mode === mode);
  if (found && !hasEnded(status)) return `It can't work here: ${found.why}.`;
  if (status === "unconfirmed")
    return mode === "kill" ? null : "Every gentler means is spent; only another kill may help.";
  if (hasEnded(status)) return `It is ${status}: there is nothing left to stop.`;
  if (status !== "cancelling" || !cancellation) return null;
  if (cancellation.mode === mode) return `${MODE_NAME[mode]} is under way already.`;
  const order: readonly Mode[] = ["cancel", "terminate", "kill"];
  if (order.indexOf(cancellation.mode) < order.indexOf(mode)) return null;
  return `${MODE_NAME[cancellation.mode]} is under way, which is stronger.`;
}
