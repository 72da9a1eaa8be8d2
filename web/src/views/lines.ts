/** Text as it comes, in chunks of lines: what is complete is never touched again. */
const LINES = 200;
const MOST_CHUNKS = 250;
/** Colours and cursor moves of terminals. */
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;

export interface Lines {
  chunks: readonly string[];
  /** Lines that were dropped at the beginning, as there were too many. */
  dropped: number;
}

export const NO_LINES: Lines = { chunks: [], dropped: 0 };

export function append(before: Lines, text: string): Lines {
  const chunks = before.chunks.slice();
  let rest = (chunks.pop() ?? "") + text.replace(ESCAPES, "").replace(/\r\n/g, "\n");
  for (let cut = endOf(rest); cut > 0; cut = endOf(rest)) {
    chunks.push(rest.slice(0, cut));
    rest = rest.slice(cut);
  }
  chunks.push(rest);
  const over = Math.max(0, chunks.length - MOST_CHUNKS);
  return { chunks: chunks.slice(over), dropped: before.dropped + over * LINES };
}

/** Where the first full chunk ends; 0 where there is none. */
function endOf(text: string): number {
  let at = -1;
  for (let line = 0; line < LINES; line++) {
    at = text.indexOf("\n", at + 1);
    if (at < 0) return 0;
  }
  return at + 1 < text.length ? at + 1 : 0;
}

export interface Hit {
  chunk: number;
  /** Which one of that chunk's. */
  nth: number;
}

export function find(lines: Lines, query: string, most = 5000): Hit[] {
  const hits: Hit[] = [];
  if (!query) return hits;
  const wanted = query.toLowerCase();
  lines.chunks.forEach((chunk, index) => {
    const text = chunk.toLowerCase();
    let nth = 0;
    for (let at = text.indexOf(wanted); at >= 0 && hits.length < most; at = text.indexOf(wanted, at + wanted.length))
      hits.push({ chunk: index, nth: nth++ });
  });
  return hits;
}
