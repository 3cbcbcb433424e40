// From counts by stretch to bars without gaps. Pure, so that it can be tried without a page.
import type { OrdersView, StretchView } from "../../api/schema.gen.ts";

export const KINDS = ["succeeded", "open", "refused", "failed"] as const;
export type Kind = (typeof KINDS)[number];

export type Unit = "tokens" | "cents";

export interface Bar<Of extends string = Kind> {
  startsAt: number;
  endsAt: number;
  counts: Record<Of, number>;
  total: number;
}

const KIND_OF: Record<string, Kind> = { succeeded: "succeeded", open: "open", refused: "refused" };

/** One bar a stretch from `since` to now, empty ones too; what ended in no other way has failed. */
export function barsOf(orders: OrdersView, now: number): Bar[] {
  return fill(orders, now, KINDS, (bar, stretch) => {
    for (const [state, number] of Object.entries(stretch.states)) {
      bar.counts[KIND_OF[state] ?? "failed"] += number;
      bar.total += number;
    }
  });
}

/** Ends that nobody wanted; a refusal is a policy at work, and a cancelled order was meant to be. */
export const FAILURES = ["failed", "timed_out", "interrupted", "expired"];

/** How many of the orders did not end as they should. */
export function failuresOf(orders: OrdersView): number {
  return orders.stretches.reduce(
    (sum, { states }) => sum + FAILURES.reduce((some, state) => some + (states[state] ?? 0), 0),
    0,
  );
}

/** What the orders of each stretch have used, in one of the units. */
export function spendOf(orders: OrdersView, now: number, unit: Unit): Bar<"used">[] {
  return fill(orders, now, ["used"], (bar, stretch) => {
    bar.counts.used = bar.total = stretch[unit];
  });
}

function fill<Of extends string>(
  orders: OrdersView,
  now: number,
  kinds: readonly Of[],
  count: (bar: Bar<Of>, stretch: StretchView) => void,
): Bar<Of>[] {
  const length = orders.stretchSeconds * 1000;
  const first = Date.parse(orders.since);
  const many = Math.min(200, Math.max(1, Math.ceil((now - first) / length)));
  const bars = Array.from({ length: many }, (_, at): Bar<Of> => {
    const startsAt = first + at * length;
    return { startsAt, endsAt: startsAt + length, counts: nothing(kinds), total: 0 };
  });
  for (const stretch of orders.stretches) {
    const bar = bars[Math.round((Date.parse(stretch.startsAt) - first) / length)];
    if (bar) count(bar, stretch);
  }
  return bars;
}

/** All bars together. */
export function sumOf<Of extends string>(
  bars: ReadonlyArray<Bar<Of>>,
  kinds: readonly Of[],
): Record<Of, number> {
  const all = nothing(kinds);
  for (const bar of bars) for (const kind of kinds) all[kind] += bar.counts[kind];
  return all;
}

function nothing<Of extends string>(kinds: readonly Of[]): Record<Of, number> {
  return Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Of, number>;
}

/** The height of the axis: the least round number that no bar exceeds. */
export function roundUp(highest: number): number {
  if (highest <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(highest));
  const factor = [1, 2, 4, 5, 10].find((one) => one * power >= highest) ?? 10;
  return factor * power;
}
