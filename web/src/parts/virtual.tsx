/**
 * A long list of rows of one height, of which only those in sight exist. A row that leaves at one edge is
 * taken for one that comes at the other: a scroll makes and drops no elements, and reads no layout.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

const BEYOND = 6;

interface Props {
  count: number;
  rowHeight: number;
  label: string;
  /** Rows that stand above, for screen readers that count. */
  header: ComponentChildren;
  /** What is shown there: while it is in sight, the same element shows it. */
  id: (index: number) => string;
  /** Its element has the id as data-id. The key is the element's, and may have been another row's. */
  row: (index: number, key: number) => ComponentChildren;
}

/** Which element shows which row; those of rows that went out of sight are free for the ones that came. */
function elementsFor(ids: readonly string[], before: ReadonlyMap<string, number>): Map<string, number> {
  const stay = new Set(ids);
  const free = [...before].filter(([id]) => !stay.has(id)).map(([, key]) => key);
  let fresh = Math.max(-1, ...before.values()) + 1;
  return new Map(ids.map((id) => [id, before.get(id) ?? free.shift() ?? fresh++]));
}

/** An element that shows another row now must not keep the focus that was on the first. */
function useFocusOfItsRow(box: { current: HTMLElement | null }): void {
  const focused = document.activeElement;
  const row = box.current?.contains(focused) ? focused!.closest<HTMLElement>("[data-id]") : null;
  const id = row?.dataset["id"];
  useLayoutEffect(() => {
    if (row && row.dataset["id"] !== id) (focused as HTMLElement).blur();
  });
}

export function VirtualTable({ count, rowHeight, label, header, id, row }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const elements = useRef<Map<string, number>>(new Map());
  // What fills the window at most, until it was measured: to ask for it now would lay out a page without rows.
  const [view, setView] = useState(() => ({ first: 0, size: Math.ceil(innerHeight / rowHeight) }));
  useFocusOfItsRow(box);

  useEffect(() => {
    const element = box.current!;
    let height = innerHeight;
    const look = () => {
      const size = Math.ceil(height / rowHeight) + 1 + 2 * BEYOND;
      const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - BEYOND);
      setView((before) => (before.first === first && before.size === size ? before : { first, size }));
    };
    const size = new ResizeObserver(([entry]) => {
      height = entry!.contentRect.height;
      // What is there already is to be painted first.
      requestAnimationFrame(look);
    });
    size.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      size.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [rowHeight]);

  const first = Math.max(0, Math.min(view.first, count - view.size));
  const ids = Array.from({ length: Math.min(view.size, count - first) }, (_, nth) => id(first + nth));
  elements.current = elementsFor(ids, elements.current);
  return (
    <div class="table" role="table" aria-label={label} aria-rowcount={count + 1}>
      {header}
      <div class="table-body" role="rowgroup" ref={box} onKeyDown={(event) => step(event, box.current!, rowHeight)}>
        <div class="table-space" role="presentation" style={{ height: `${count * rowHeight}px` }}>
          <div role="presentation" class="table-rows" style={{ transform: `translateY(${first * rowHeight}px)` }}>
            {ids.map((one, nth) => row(first + nth, elements.current.get(one)!))}
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
