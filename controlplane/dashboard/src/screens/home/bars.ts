// From counts by stretch to bars without gaps. Pure, so that it can be tried without a page.
import type { OrdersView } from "../../api/schema.gen.ts";

export const KINDS = ["succeeded", "open", "refused", "failed"] as const;
export type Kind = (typeof KINDS)[number];

export interface Bar {
  startsAt: number;
  endsAt: number;
  counts: Record<Kind, number>;
  total: number;
}

const KIND_OF: Record<string, Kind> = { succeeded: "succeeded", open: "open", refused: "refused" };

/** One bar a stretch from `since` to now, empty ones too; what ended in no other way has failed. */
export function barsOf(orders: OrdersView, now: number): Bar[] {
  const length = orders.stretchSeconds * 1000;
  const first = Date.parse(orders.since);
  const count = Math.min(200, Math.max(1, Math.ceil((now - first) / length)));
  const bars = Array.from({ length: count }, (_, at): Bar => {
    const startsAt = first + at * length;
    const counts = { succeeded: 0, open: 0, refused: 0, failed: 0 };
    return { startsAt, endsAt: startsAt + length, counts, total: 0 };
  });
  for (const stretch of orders.stretches) {
    const bar = bars[Math.round((Date.parse(stretch.startsAt) - first) / length)];
    if (!bar) continue;
    for (const [state, number] of Object.entries(stretch.states)) {
      bar.counts[KIND_OF[state] ?? "failed"] += number;
      bar.total += number;
    }
  }
  return bars;
}

/** The height of the axis: the least round number that no bar exceeds. */
export function roundUp(highest: number): number {
  if (highest <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(highest));
  const factor = [1, 2, 4, 5, 10].find((one) => one * power >= highest) ?? 10;
  return factor * power;
}
