/**
 * Where one is, in the address behind `#`: a path and words, as `#/?status=running`. What stands there
 * is never sent to a server, and a link to it opens the same view.
 */
import { computed, signal } from "@preact/signals";

export interface Place {
  path: string;
  words: URLSearchParams;
}

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

export const place = computed<Place>(() => {
  const [path, words] = (hash.value.slice(1) || "/").split("?", 2);
  return { path: path || "/", words: new URLSearchParams(words ?? "") };
});

export function href(path: string, words?: URLSearchParams): string {
  const text = words?.toString();
  return `#${path}${text ? `?${text}` : ""}`;
}

export function evaluationHref(id: string): string {
  return href(`/eval/${encodeURIComponent(id)}`);
}

export function batchHref(id: string): string {
  return href(`/batch/${encodeURIComponent(id)}`);
}

export function go(to: string): void {
  location.hash = to;
}

/** The same place with other words; typing in a filter is no step to go back to. */
export function refine(words: URLSearchParams): void {
  replace(href(place.peek().path, words));
}

/** Another address in the same step of the history. */
export function replace(to: string): void {
  history.replaceState(null, "", to);
  hash.value = location.hash;
}
