/** A long list of rows of one height, of which only those in sight exist. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

const BEYOND = 8;

interface Props {
  count: number;
  rowHeight: number;
  label: string;
  /** Rows that stand above, for screen readers that count. */
  header: ComponentChildren;
  row: (index: number) => ComponentChildren;
}

export function VirtualTable({ count, rowHeight, label, header, row }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ first: 0, last: 40 });

  useLayoutEffect(() => {
    const element = box.current!;
    const look = () => {
      const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - BEYOND);
      const last = Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + BEYOND;
      setView((before) => (before.first === first && before.last === last ? before : { first, last }));
    };
    look();
    const size = new ResizeObserver(look);
    size.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      size.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [rowHeight]);

  const last = Math.min(count, view.last);
  const first = Math.min(view.first, last);
  const rows = [];
  for (let index = first; index < last; index++) rows.push(row(index));
  return (
    <div class="table" role="table" aria-label={label} aria-rowcount={count + 1}>
      {header}
      <div class="table-body" role="rowgroup" ref={box} onKeyDown={(event) => step(event, box.current!, rowHeight)}>
        <div class="table-space" role="presentation" style={{ height: `${count * rowHeight}px` }}>
          <div role="presentation" class="table-rows" style={{ transform: `translateY(${first * rowHeight}px)` }}>
            {rows}
          </div>
        </div>
      </div>
    </div>
  );
}

/** Arrow keys go from row to row, also to one that does not exist yet. */
function step(event: KeyboardEvent, box: HTMLElement, rowHeight: number): void {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const from = (event.target as Element).closest<HTMLElement>("[data-index]");
  if (!by || !from || (event.target as Element).matches("input:not([type=checkbox])")) return;
  event.preventDefault();
  const index = Number(from.dataset["index"]) + by;
  const top = index * rowHeight;
  if (top < box.scrollTop) box.scrollTop = Math.max(0, top);
  if (top + rowHeight > box.scrollTop + box.clientHeight) box.scrollTop = top + rowHeight - box.clientHeight;
  requestAnimationFrame(() => box.querySelector<HTMLElement>(`[data-index="${index}"] a`)?.focus());
}
