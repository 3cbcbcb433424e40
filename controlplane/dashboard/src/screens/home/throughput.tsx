// How many orders were given over time and what became of them: bars to look at, a table to read.
import { useId, useMemo, useState } from "react";
import type { OverviewView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { classes } from "../../ui/classes.ts";
import { type Bar, barsOf, KINDS, type Kind, roundUp } from "./bars.ts";

const FILLS: Record<Kind, string> = {
  succeeded: "fill-good-mark",
  open: "fill-busy-mark",
  refused: "fill-wait-mark",
  failed: "fill-bad-mark",
};
const GROUNDS: Record<Kind, string> = {
  succeeded: "bg-good-mark",
  open: "bg-busy-mark",
  refused: "bg-wait-mark",
  failed: "bg-bad-mark",
};
const WORDS: Record<Kind, string> = {
  succeeded: "succeeded",
  open: "under way",
  refused: "refused",
  failed: "failed",
};
const RANGES = [
  [6, "6 h"],
  [24, "24 h"],
  [168, "7 d"],
] as const;
const HEIGHT = 100;

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
  const [at, setAt] = useState<number | null>(null);
  const picked = at === null ? null : (bars[at] ?? null);
  const sums = picked ? picked.counts : sum(bars);
  return (
    <Section
      title="Orders"
      actions={
        <fieldset className="flex gap-0.5">
          <legend className="sr-only">How far back</legend>
          {RANGES.map(([one, word]) => (
            <button
              key={one}
              type="button"
              aria-pressed={hours === one}
              onClick={() => onHours(one)}
              className={classes(
                "h-7 rounded-md px-2 text-xs pointer-coarse:h-9 pointer-coarse:px-3",
                hours === one ? "bg-chosen font-medium" : "text-muted hover:bg-hover",
              )}
            >
              {word}
            </button>
          ))}
        </fieldset>
      }
    >
      <p className="mb-2 h-5 text-xs text-muted">
        {picked ? spanOf(picked, hours) : `The last ${hours === 168 ? "7 days" : `${hours} hours`}`}
      </p>
      <Bars bars={bars} at={at} onAt={setAt} />
      <Ends bars={bars} hours={hours} />
      <ul className="mt-3 flex flex-wrap gap-x-5 gap-y-1">
        {KINDS.map((kind) => (
          <li key={kind} className="flex items-center gap-1.5">
            <span aria-hidden className={classes("size-2 rounded-xs", GROUNDS[kind])} />
            <span className="tabular font-medium">{sums[kind].toLocaleString()}</span>
            <span className="text-muted">{WORDS[kind]}</span>
          </li>
        ))}
      </ul>
      <Table bars={bars} hours={hours} />
    </Section>
  );
}

function Bars({
  bars,
  at,
  onAt,
}: {
  bars: readonly Bar[];
  at: number | null;
  onAt: (at: number | null) => void;
}) {
  const title = useId();
  const top = roundUp(Math.max(0, ...bars.map((bar) => bar.total)));
  const step = 10;
  return (
    <div className="relative">
      <span className="absolute top-0.5 left-0 text-2xs text-faint">{top.toLocaleString()}</span>
      <svg
        role="img"
        aria-labelledby={title}
        viewBox={`0 0 ${Math.max(1, bars.length) * step} ${HEIGHT}`}
        preserveAspectRatio="none"
        className="h-40 w-full"
        onPointerLeave={() => onAt(null)}
      >
        <title id={title}>Orders over time; the same numbers stand in the table below</title>
        {[0, 0.5, 1].map((part) => (
          <line
            key={part}
            x1="0"
            x2="100%"
            y1={HEIGHT * part}
            y2={HEIGHT * part}
            className="stroke-line"
            vectorEffect="non-scaling-stroke"
          />
        ))}
        {bars.map((bar, index) => (
          <g key={bar.startsAt} onPointerEnter={() => onAt(index)}>
            <rect
              x={index * step}
              y="0"
              width={step}
              height={HEIGHT}
              className={at === index ? "fill-hover" : "fill-transparent"}
            />
            {stack(bar, top).map(({ kind, y, height }) => (
              <rect
                key={kind}
                x={index * step + 1.5}
                width={step - 3}
                y={y}
                height={height}
                className={FILLS[kind]}
              />
            ))}
          </g>
        ))}
      </svg>
    </div>
  );
}

function stack(bar: Bar, top: number): Array<{ kind: Kind; y: number; height: number }> {
  let y = HEIGHT;
  return KINDS.flatMap((kind) => {
    const height = (bar.counts[kind] / top) * HEIGHT;
    y -= height;
    return height > 0 ? [{ kind, y, height }] : [];
  });
}

function Ends({ bars, hours }: { bars: readonly Bar[]; hours: number }) {
  const first = bars[0];
  return (
    <div className="flex justify-between pt-1 text-2xs text-faint">
      <span>{first ? momentOf(first.startsAt, hours) : " "}</span>
      <span>now</span>
    </div>
  );
}

function Table({ bars, hours }: { bars: readonly Bar[]; hours: number }) {
  const shown = bars.filter((bar) => bar.total > 0);
  return (
    <details className="mt-3 text-muted">
      <summary className="w-fit text-xs hover:text-ink">As a table</summary>
      <div className="mt-2 max-h-60 overflow-auto">
        <table className="w-full text-xs">
          <thead>
            <tr className="text-left">
              <th scope="col" className="py-1 font-medium">
                Given
              </th>
              {KINDS.map((kind) => (
                <th key={kind} scope="col" className="py-1 text-right font-medium">
                  {WORDS[kind]}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((bar) => (
              <tr key={bar.startsAt} className="border-t border-line">
                <th scope="row" className="py-1 text-left font-normal">
                  {spanOf(bar, hours)}
                </th>
                {KINDS.map((kind) => (
                  <td key={kind} className="py-1 text-right text-ink">
                    {bar.counts[kind]}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
        {shown.length === 0 && <p>No order was given in this time.</p>}
      </div>
    </details>
  );
}

function sum(bars: readonly Bar[]): Record<Kind, number> {
  const all = { succeeded: 0, open: 0, refused: 0, failed: 0 };
  for (const bar of bars) for (const kind of KINDS) all[kind] += bar.counts[kind];
  return all;
}

function momentOf(moment: number, hours: number): string {
  const day = hours > 24 ? ({ weekday: "short" } as const) : {};
  return new Intl.DateTimeFormat(undefined, { ...day, hour: "2-digit", minute: "2-digit" }).format(
    moment,
  );
}

function spanOf(bar: Bar, hours: number): string {
  return `${momentOf(bar.startsAt, hours)} – ${momentOf(bar.endsAt, hours)}`;
}
