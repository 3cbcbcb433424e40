// How many orders were given over time and what became of them.
import { useMemo } from "react";
import type { OverviewView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { Choice } from "../../ui/choice.tsx";
import { barsOf, type Kind } from "./bars.ts";
import { Chart, type Series } from "./chart.tsx";

const SERIES: ReadonlyArray<Series<Kind>> = [
  { kind: "succeeded", word: "succeeded", fill: "fill-good-mark", ground: "bg-good-mark" },
  { kind: "open", word: "under way", fill: "fill-busy-mark", ground: "bg-busy-mark" },
  { kind: "refused", word: "refused", fill: "fill-wait-mark", ground: "bg-wait-mark" },
  { kind: "failed", word: "failed", fill: "fill-bad-mark", ground: "bg-bad-mark" },
];
const RANGES = [
  [6, "6 h"],
  [24, "24 h"],
  [168, "7 d"],
] as const;

export function Throughput({
  overview,
  hours,
  onHours,
}: {
  overview: OverviewView | undefined;
  hours: number;
  onHours: (hours: number) => void;
}) {
  const bars = useMemo(() => (overview ? barsOf(overview.orders, Date.now()) : []), [overview]);
  return (
    <Section
      title="Orders"
      actions={<Choice label="How far back" options={RANGES} value={hours} onChoose={onHours} />}
    >
      <Chart
        bars={bars}
        series={SERIES}
        hours={hours}
        title="Orders over time"
        none="No order was given in this time."
      />
    </Section>
  );
}
