/**
 * What the list shows. It is written as one line, `owner:alice label:team=red words`, and stands in the
 * address as words of their own, so that a link shows the same.
 */
import type { Evaluation, Status } from "quell-client";
import { STATUSES } from "./words.js";

export interface Filter {
  statuses: ReadonlySet<Status>;
  owner: string;
  label: string;
  text: string;
}

export function filterOf(words: URLSearchParams): Filter {
  const named = (words.get("status") ?? "").split(",");
  return {
    statuses: new Set(STATUSES.filter((status) => named.includes(status))),
    owner: words.get("owner") ?? "",
    label: words.get("label") ?? "",
    text: words.get("q") ?? "",
  };
}

export function wordsOf(filter: Filter): URLSearchParams {
  const words = new URLSearchParams();
  if (filter.statuses.size) words.set("status", [...filter.statuses].join(","));
  if (filter.owner) words.set("owner", filter.owner);
  if (filter.label) words.set("label", filter.label);
  if (filter.text) words.set("q", filter.text);
  return words;
}

export function lineOf(filter: Filter): string {
  const owner = filter.owner && `owner:${filter.owner}`;
  const label = filter.label && `label:${filter.label}`;
  return [owner, label, filter.text].filter(Boolean).join(" ");
}

/** A line as typed; statuses are kept as they are. */
export function readLine(line: string, before: Filter): Filter {
  let owner = "";
  let label = "";
  const text = line
    .replace(/(?:^|\s)owner:(\S+)/, (_, value: string) => ((owner = value), ""))
    .replace(/(?:^|\s)label:(\S+)/, (_, value: string) => ((label = value), ""))
    .replace(/^\s+/, "");
  return { ...before, owner, label, text };
}

export function toggled(filter: Filter, status: Status): Filter {
  const statuses = new Set(filter.statuses);
  if (!statuses.delete(status)) statuses.add(status);
  return { ...filter, statuses };
}

/** The same as a selector of the API; null where free text is in it, which no selector knows. */
export function selectorOf(filter: Filter): string | null {
  const terms = [];
  if (filter.text.trim()) return null;
  if (filter.statuses.size) terms.push(`status in (${[...filter.statuses].join(",")})`);
  if (filter.owner) terms.push(`owner=${quoted(filter.owner)}`);
  if (filter.label) {
    const [key = "", value] = filter.label.split(/=(.*)/s, 2);
    terms.push(`label.${quoted(key)}=${value === undefined ? "*" : quoted(value)}`);
  }
  return terms.join(",");
}

function quoted(text: string): string {
  return /^[\w.:-]+$/.test(text) ? text : `"${text.replace(/(["\\])/g, "\\$1")}"`;
}

/** All but the status: what the counts of each status are made of. */
export function matchesWords(filter: Filter, row: Evaluation): boolean {
  if (filter.owner && row.owner !== filter.owner) return false;
  if (filter.label && !hasLabel(row, filter.label)) return false;
  return !filter.text || hasText(row, filter.text.trim().toLowerCase());
}

export function isEmpty(filter: Filter): boolean {
  return !filter.statuses.size && !filter.owner && !filter.label && !filter.text;
}

function hasLabel(row: Evaluation, label: string): boolean {
  const [key = "", value] = label.split(/=(.*)/s, 2);
  return value === undefined ? key in row.labels : row.labels[key] === value;
}

function hasText(row: Evaluation, text: string): boolean {
  const labels = Object.entries(row.labels).map(([key, value]) => `${key}=${value}`);
  const fields = [row.eval_id, row.task_id, row.language, row.owner, row.worker, row.queue];
  fields.push(row.session, row.error, row.signal, row.cause, ...labels);
  return fields.some((field) => field?.toLowerCase().includes(text));
}
