/** A table that scrolls by itself where it is wider than the screen, by keyboard too. */
import type { ComponentChildren } from "preact";

interface Props {
  label: string;
  /** Its columns; one that is for buttons alone is null. */
  head: readonly (string | null)[];
  children: ComponentChildren;
}

export function Table({ label, head, children }: Props) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col">
                {name ?? <span class="visually-hidden">Action</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
