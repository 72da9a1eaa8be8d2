/** Who asks: the key of this tab, and the client that shows it. */
import { signal } from "@preact/signals";
import { Quell } from "quell-client";
import { STORE } from "./first.js";
import { replace } from "./router.js";

/** `unknown` until the server was asked once. */
export type Access = "unknown" | "granted" | "refused";

export const access = signal<Access>("unknown");
/** What this key may besides its owner's own: see what is everybody's, and see to keys and policies. */
export type Rights = "user" | "operator" | "admin";

export const rights = signal<Rights>("user");
/** Whether a key was shown that the server would not take. */
export const wrong = signal(false);
export let quell = client(keyOfTab());

export function keyOfTab(): string | null {
  return sessionStorage.getItem(STORE);
}

function client(key: string | null): Quell {
  return new Quell({ key: key || undefined, patience: Infinity });
}

export function useKey(key: string | null): void {
  if (key) sessionStorage.setItem(STORE, key);
  else sessionStorage.removeItem(STORE);
  quell = client(key);
  access.value = "unknown";
  rights.value = "user";
  wrong.value = false;
}

/** The server wants a key, or another one. */
export function refuse(): void {
  wrong.value = keyOfTab() !== null;
  access.value = "refused";
}

/** Asked once for each key; who may not is refused, and that is the answer. */
export async function findRights(): Promise<void> {
  const asked = quell;
  const may = (look: Promise<unknown>) => look.then(() => true, () => false);
  const [keys, policies] = await Promise.all([may(asked.keys()), may(asked.policies())]);
  if (asked === quell) rights.value = keys ? "admin" : policies ? "operator" : "user";
}

/** The start-up link has the key behind `#`: it is taken over, and out of the address and its history. */
export function takeKeyFromAddress(): void {
  const found = /^#key=([^&]+)/.exec(location.hash);
  if (!found?.[1]) return;
  replace("#/");
  useKey(decodeURIComponent(found[1]));
}
