/** An output that is followed until its end, over any number of connections. */
import { Unreachable } from "./errors.js";
import { Patience, pause } from "./patience.js";
import type { Transport } from "./transport.js";
import type { OutputOptions } from "./types.js";

export function outputPath(id: string): string {
  return `/api/eval/${encodeURIComponent(id)}/output`;
}

export async function* follow(
  transport: Transport,
  id: string,
  /** Which attempt it is, where none is named. */
  latest: () => Promise<number>,
  options: OutputOptions,
): AsyncGenerator<Uint8Array> {
  const patience = new Patience(transport.patience);
  let offset = options.offset ?? 0;
  let attempt = options.attempt;
  for (;;) {
    try {
      attempt ??= await latest();
      const response = await transport.ask({
        method: "GET",
        path: outputPath(id),
        query: { attempt, stream: options.stream, offset: offset || undefined, follow: true },
        signal: options.signal,
      });
      for await (const piece of transport.pieces(response, options.signal)) {
        patience.came();
        offset += piece.length;
        yield piece;
      }
      return;
    } catch (error) {
      const ms = error instanceof Unreachable ? patience.next() : undefined;
      if (ms === undefined) throw error;
      await pause(ms, options.signal);
    }
  }
}
