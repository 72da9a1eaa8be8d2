/**
 * What a first view shows, asked for before anything else of the page was read: this stands in the document by itself,
 * before its style and its script, which find the answer there.
 */
import { type Asked, SCREEN, STORE } from "./first.js";

function ask(): Asked {
  const [, named] = /^#key=([^&]+)/.exec(location.hash) ?? [];
  const key = named ? decodeURIComponent(named) : sessionStorage.getItem(STORE);
  const headers: HeadersInit = key ? { Authorization: `Bearer ${key}` } : {};
  const answer = fetch(`/api/evaluations?limit=${SCREEN}`, { headers, cache: "no-store", credentials: "omit" });
  return { key, answer };
}

globalThis.quellAhead = ask();
