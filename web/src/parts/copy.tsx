/** Copies a text, and says so where it was pressed. */
import { useState } from "preact/hooks";
import { tell } from "../toast.js";

interface Props {
  text: () => string;
  label: string;
  small?: boolean;
}

export function Copy({ text, label, small }: Props) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      setDone(true);
      setTimeout(() => setDone(false), 2000);
    } catch {
      tell("The browser did not let the page copy: select the text and copy it by hand.", undefined, "trouble");
    }
  };
  return (
    <button type="button" class={small ? "plain small" : "quiet"} onClick={() => void copy()}>
      {done ? "Copied" : label}
    </button>
  );
}
