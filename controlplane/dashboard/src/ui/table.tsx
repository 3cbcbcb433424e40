// A list of thousands: only the rows in sight are drawn. Rows are links (or buttons), so that tab,
// arrows, middle click and screen readers work as everywhere.
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import {
  type KeyboardEvent,
  memo,
  type ReactNode,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { Link } from "wouter";
import { classes } from "./classes.ts";
import { useWidth, WIDTHS, type Width } from "./media.ts";

export interface Column<T> {
  key: string;
  header: string;
  cell: (row: T) => ReactNode;
  /** A grid track, such as `minmax(8rem, 2fr)` or `6rem`. */
  width: string;
  /** Shown only from this width on. */
  from?: Width;
  align?: "end";
  /** What the column sorts by; without it, it does not. */
  sort?: (row: T) => string | number;
}

interface Props<T> {
  label: string;
  rows: readonly T[];
  columns: ReadonlyArray<Column<T>>;
  rowKey: (row: T) => string;
  /** Where a row leads; or `onOpen` for what opens beside the list. */
  href?: (row: T) => string;
  onOpen?: (row: T) => void;
  /** The row that is open beside the list. */
  chosen?: string | null;
  rowHeight?: number;
  /** Called when the end comes near and there is more to load. */
  onEnd?: (() => void) | undefined;
}

interface Sorting {
  key: string;
  down: boolean;
}

export function DataTable<T>({
  label,
  rows,
  columns,
  rowKey,
  href,
  onOpen,
  chosen = null,
  rowHeight = 40,
  onEnd,
}: Props<T>) {
  const width = useWidth();
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const shown = useMemo(
    () => columns.filter((one) => one.from === undefined || width >= WIDTHS[one.from]),
    [columns, width],
  );
  const sorted = useMemo(
    () => sortRows(rows, columns.find((one) => one.key === sorting?.key)?.sort, sorting),
    [rows, columns, sorting],
  );
  const body = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const place = () =>
      setTop(body.current ? body.current.getBoundingClientRect().top + window.scrollY : 0);
    place();
    const watch = new ResizeObserver(place);
    watch.observe(document.body);
    return () => watch.disconnect();
  }, []);
  const virtual = useWindowVirtualizer({
    count: sorted.length,
    estimateSize: () => rowHeight,
    overscan: 12,
    scrollMargin: top,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (onEnd && last >= sorted.length - 30) onEnd();
  }, [onEnd, last, sorted.length]);

  const template = shown.map((one) => one.width).join(" ");
  const count = sorted.length;
  const go = useCallback(
    (event: KeyboardEvent, index: number) => {
      const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: count - 1 }[event.key];
      if (to === undefined || to < 0 || to >= count) return;
      event.preventDefault();
      virtual.scrollToIndex(to, { align: "auto" });
      requestAnimationFrame(() =>
        body.current
          ?.querySelector<HTMLElement>(`[data-row="${to}"]`)
          ?.focus({ preventScroll: true }),
      );
    },
    [count, virtual],
  );
  return (
    <div role="table" aria-label={label} aria-rowcount={count + 1} className="tabular">
      <div
        role="rowgroup"
        className="sticky top-(--bar-height) z-10 border-b border-line bg-ground"
      >
        <div
          role="row"
          className="grid h-8 items-center gap-3 px-3 text-xs text-muted"
          style={{ gridTemplateColumns: template }}
        >
          {shown.map((one) => (
            <HeaderCell key={one.key} column={one} sorting={sorting} onSort={setSorting} />
          ))}
        </div>
      </div>
      <div
        role="rowgroup"
        ref={body}
        className="relative"
        style={{ height: virtual.getTotalSize() }}
      >
        {items.map((item) => {
          const row = sorted[item.index] as T;
          const key = rowKey(row);
          return (
            <Row
              key={key}
              row={row}
              index={item.index}
              top={item.start - top}
              height={rowHeight}
              columns={shown as ReadonlyArray<Column<unknown>>}
              template={template}
              href={href as ((row: unknown) => string) | undefined}
              onOpen={onOpen as ((row: unknown) => void) | undefined}
              isChosen={chosen === key}
              onKeyDown={go}
            />
          );
        })}
      </div>
    </div>
  );
}

interface RowProps {
  row: unknown;
  index: number;
  top: number;
  height: number;
  columns: ReadonlyArray<Column<unknown>>;
  template: string;
  href: ((row: unknown) => string) | undefined;
  onOpen: ((row: unknown) => void) | undefined;
  isChosen: boolean;
  onKeyDown: (event: KeyboardEvent, index: number) => void;
}

/** One row, drawn once: while the list scrolls, only rows that come are drawn. */
const Row = memo(function Row({
  row,
  index,
  top,
  height,
  columns,
  template,
  href,
  onOpen,
  isChosen,
  onKeyDown,
}: RowProps) {
  const opens = href !== undefined || onOpen !== undefined;
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      className={classes(
        "absolute inset-x-0 top-0 grid items-center gap-3 border-b border-line px-3 [contain:strict]",
        opens && "hover:bg-hover",
        isChosen && "bg-chosen",
      )}
      style={{ height, gridTemplateColumns: template, transform: `translateY(${top}px)` }}
    >
      {columns.map((one, at) => (
        <div
          key={one.key}
          role="cell"
          className={classes("min-w-0 truncate", one.align === "end" && "text-right")}
        >
          {at === 0 && opens ? (
            <Opener
              index={index}
              to={href?.(row)}
              onOpen={onOpen && (() => onOpen(row))}
              onKeyDown={(event) => onKeyDown(event, index)}
            >
              {one.cell(row)}
            </Opener>
          ) : (
            one.cell(row)
          )}
        </div>
      ))}
    </div>
  );
});

/** Covers its row, so that a click anywhere in it opens it. */
function Opener({
  index,
  to,
  onOpen,
  onKeyDown,
  children,
}: {
  index: number;
  to: string | undefined;
  onOpen: (() => void) | undefined;
  onKeyDown: (event: KeyboardEvent) => void;
  children: ReactNode;
}) {
  const look =
    "block w-full min-w-0 truncate text-left outline-none after:absolute after:inset-0 focus-visible:after:outline-2 focus-visible:after:-outline-offset-2 focus-visible:after:outline-focus";
  if (to !== undefined)
    return (
      <Link to={to} data-row={index} className={look} onKeyDown={onKeyDown}>
        {children}
      </Link>
    );
  return (
    <button type="button" data-row={index} className={look} onClick={onOpen} onKeyDown={onKeyDown}>
      {children}
    </button>
  );
}

function HeaderCell<T>({
  column,
  sorting,
  onSort,
}: {
  column: Column<T>;
  sorting: Sorting | null;
  onSort: (sorting: Sorting | null) => void;
}) {
  const mine = sorting?.key === column.key ? sorting : null;
  const Arrow = mine?.down ? ArrowDown : ArrowUp;
  return (
    <div
      role="columnheader"
      aria-sort={mine ? (mine.down ? "descending" : "ascending") : undefined}
      className={classes("min-w-0 truncate font-medium", column.align === "end" && "text-right")}
    >
      {column.sort ? (
        <button
          type="button"
          className={classes(
            "inline-flex gap-1 hover:text-ink",
            column.align === "end" ? "flex-row-reverse items-baseline" : "items-center",
          )}
          onClick={() => onSort(mine?.down ? null : { key: column.key, down: mine !== null })}
        >
          {column.header}
          <Arrow aria-hidden className={classes("size-3", !mine && "opacity-0")} />
        </button>
      ) : (
        column.header
      )}
    </div>
  );
}

function sortRows<T>(
  rows: readonly T[],
  by: ((row: T) => string | number) | undefined,
  sorting: Sorting | null,
): readonly T[] {
  if (!by || sorting === null) return rows;
  const order = sorting.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [by(a), by(b)];
    return x < y ? -order : x > y ? order : 0;
  });
}
