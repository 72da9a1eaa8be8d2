/** What changes, as it changes, over any number of connections. */
import { Refused, Unreachable } from "./errors.js";
import { EventReader, type ServerEvent } from "./lines.js";
import { Patience, pause } from "./patience.js";
import type { Transport } from "./transport.js";
import type { Asking, Cancellation, Evaluation, QuellEvent } from "./types.js";

/** The server says something each 15 s: after this long without a word the connection is dead, whatever TCP thinks. */
const SILENCE_S = 60;

export interface EventsOptions extends Asking {
  /** Go on after this event. */
  last?: string | undefined;
  /** Only what happens to evaluations that match it. */
  selector?: string | undefined;
  /** The stream is the lease of this session of yours, which `heartbeat` leased before. */
  session?: string | undefined;
  /** Seconds without a word after which a connection is given up for another one; 60. */
  silence?: number | undefined;
  /** Told when a connection stands, and when it broke (then with the ms until the next try). */
  onState?: ((state: "open" | "away", retryMs: number) => void) | undefined;
}

export async function* events(
  transport: Transport,
  options: EventsOptions,
): AsyncGenerator<QuellEvent> {
  const reader = new EventReader(options.last);
  const patience = new Patience(transport.patience);
  for (;;) {
    try {
      yield* connection(transport, reader, patience, options);
    } catch (error) {
      if (!isAway(error)) throw error;
      const ms = patience.next();
      if (ms === undefined) throw error;
      options.onState?.("away", ms);
      await pause(ms, options.signal);
      continue;
    }
    await pause(patience.next() ?? 0, options.signal);
  }
}

async function* connection(
  transport: Transport,
  reader: EventReader,
  patience: Patience,
  options: EventsOptions,
): AsyncGenerator<QuellEvent> {
  reader.again();
  const { signal, silence = SILENCE_S } = options;
  const over = new AbortController();
  const end = () => over.abort(signal?.reason);
  const dead = () => over.abort(new Unreachable(`${transport.url} said nothing for ${silence} s`));
  let timer: ReturnType<typeof setTimeout> | undefined;
  signal?.throwIfAborted();
  signal?.addEventListener("abort", end);
  try {
    const response = await transport.ask({
      method: "GET",
      path: "/api/events",
      query: { selector: options.selector, session: options.session },
      headers: { Accept: "text/event-stream", "Last-Event-ID": reader.last },
      signal: over.signal,
    });
    options.onState?.("open", 0);
    timer = setTimeout(dead, silence * 1000);
    for await (const piece of transport.pieces(response, over.signal)) {
      clearTimeout(timer);
      patience.came();
      for (const event of reader.feed(piece)) yield read(event);
      timer = setTimeout(dead, silence * 1000);
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
  throw new Unreachable(`${transport.url} ended the stream of events`);
}

/** Worth another try: nobody answered, or the server said that it can't now. */
function isAway(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof Refused && error.status === 503);
}

function read(event: ServerEvent): QuellEvent {
  if (event.event === "evaluation")
    return { type: "evaluation", id: event.id, evaluation: JSON.parse(event.data) as Evaluation };
  if (event.event === "cancellation")
    return {
      type: "cancellation",
      id: event.id,
      cancellation: JSON.parse(event.data) as Cancellation,
    };
  return { type: "reset", id: event.id };
}
