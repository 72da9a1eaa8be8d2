/** What just happened, told at the edge for a while; some of it can be undone there. */
import { signal } from "@preact/signals";
import { troubleOf } from "./trouble.js";

export interface Toast {
  id: number;
  kind: "done" | "trouble";
  text: string;
  action?: { label: string; run: () => void };
}

const SHOWN_MS = 12_000;
const MOST = 4;

export const toasts = signal<readonly Toast[]>([]);
let last = 0;

export function tell(text: string, action?: Toast["action"], kind: Toast["kind"] = "done"): void {
  const id = ++last;
  const toast: Toast = { id, kind, text, ...(action ? { action } : {}) };
  toasts.value = [...toasts.value, toast].slice(-MOST);
  setTimeout(() => dismiss(id), SHOWN_MS);
}

export function tellTrouble(error: unknown): void {
  const { what, todo } = troubleOf(error);
  tell(todo ? `${what} ${todo}` : what, undefined, "trouble");
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}
