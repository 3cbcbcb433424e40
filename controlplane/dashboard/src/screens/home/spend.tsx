// What the orders have used, by their agents' own count: tokens, and money where they know of it.
import { useMemo, useState } from "react";
import type { OverviewView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { Choice } from "../../ui/choice.tsx";
import { spendOf, type Unit } from "./bars.ts";
import { Chart, type Series } from "./chart.tsx";

const UNITS = [
  ["tokens", "Tokens"],
  ["cents", "Cents"],
] as const;
const seriesOf = (unit: Unit): ReadonlyArray<Series<"used">> => [
  { kind: "used", word: unit, fill: "fill-busy-mark", ground: "bg-busy-mark" },
];

/** Nothing at all where no order of that time has said that it used anything. */
export function Spend({ overview, hours }: { overview: OverviewView; hours: number }) {
  const [chosen, setChosen] = useState<Unit | null>(null);
  const [tokens, cents] = useMemo(() => {
    const now = Date.now();
    return [spendOf(overview.orders, now, "tokens"), spendOf(overview.orders, now, "cents")];
  }, [overview]);
  const hasTokens = tokens.some((bar) => bar.total > 0);
  const hasCents = cents.some((bar) => bar.total > 0);
  if (!hasTokens && !hasCents) return null;
  const unit = chosen ?? (hasCents ? "cents" : "tokens");
  return (
    <Section
      title="Spend"
      actions={
        hasTokens && hasCents ? (
          <Choice label="Counted in" options={UNITS} value={unit} onChoose={setChosen} />
        ) : undefined
      }
    >
      <Chart
        bars={unit === "cents" ? cents : tokens}
        series={seriesOf(unit)}
        hours={hours}
        title={unit === "cents" ? "Cents spent over time" : "Tokens used over time"}
        none="Nothing was used in this time."
      />
    </Section>
  );
}
