/** How long to go on while the server is away, and how long to pause before each try. */
const LONGEST_PAUSE = 5000;

export class Patience {
  #since: number | undefined;
  #pause = 100;

  constructor(readonly seconds: number) {}

  /** An answer came: what went before is forgotten. */
  came(): void {
    this.#since = undefined;
    this.#pause = 100;
  }

  /** The next pause in ms, or undefined when the time is over. */
  next(): number | undefined {
    const now = Date.now();
    this.#since ??= now;
    if (now - this.#since > this.seconds * 1000) return undefined;
    const pause = this.#pause * (0.5 + Math.random() / 2);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    return pause;
  }
}

/** Ends early, by throwing its reason, when the signal aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
