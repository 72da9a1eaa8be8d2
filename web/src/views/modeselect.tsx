import type { Mode } from "quell-client";
import { MODE_NAME } from "../words.js";

export function ModeSelect({ mode, onMode }: { mode: Mode; onMode: (mode: Mode) => void }) {
  return (
    <select aria-label="How to stop them" value={mode} onChange={(event) => onMode(event.currentTarget.value as Mode)}>
      {Object.entries(MODE_NAME).map(([value, name]) => (
        <option key={value} value={value}>
          {name}
        </option>
      ))}
    </select>
  );
}
