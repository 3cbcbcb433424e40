// Bars over time for any kinds of count: to look at, and the same numbers as a table to read.
import { useId, useState } from "react";
import { classes } from "../../ui/classes.ts";
import { type Bar, roundUp, sumOf } from "./bars.ts";

/** How one kind of count is named and coloured. */
export interface Series<Kind extends string> {
  readonly kind: Kind;
  readonly word: string;
  readonly fill: string;
  readonly ground: string;
}

interface Counted<Kind extends string> {
  bars: ReadonlyArray<Bar<Kind>>;
  series: ReadonlyArray<Series<Kind>>;
}

const HEIGHT = 100;
const STEP = 10;

export function Chart<Kind extends string>({
  bars,
  series,
  hours,
  title,
  none,
}: Counted<Kind> & {
  hours: number;
  title: string;
  none: string;
}) {
  const [at, setAt] = useState<number | null>(null);
  const picked = at === null ? null : (bars[at] ?? null);
  const kinds = series.map((one) => one.kind);
  const sums = picked ? picked.counts : sumOf(bars, kinds);
  const first = bars[0];
  return (
    <>
      <p className="mb-2 h-5 text-xs text-muted">
        {picked ? spanOf(picked, hours) : `The last ${hours === 168 ? "7 days" : `${hours} hours`}`}
      </p>
      <Bars bars={bars} series={series} title={title} at={at} onAt={setAt} />
      <div className="flex justify-between pt-1 text-2xs text-faint">
        <span>{first ? momentOf(first.startsAt, hours) : " "}</span>
        <span>now</span>
      </div>
      <ul className="mt-3 flex flex-wrap gap-x-5 gap-y-1">
        {series.map(({ kind, word, ground }) => (
          <li key={kind} className="flex items-center gap-1.5">
            <span aria-hidden className={classes("size-2 rounded-xs", ground)} />
            <span className="tabular font-medium">{sums[kind].toLocaleString()}</span>
            <span className="text-muted">{word}</span>
          </li>
        ))}
      </ul>
      <Table bars={bars} series={series} hours={hours} none={none} />
    </>
  );
}

function Bars<Kind extends string>({
  bars,
  series,
  title,
  at,
  onAt,
}: Counted<Kind> & {
  title: string;
  at: number | null;
  onAt: (at: number | null) => void;
}) {
  const titleId = useId();
  const top = roundUp(Math.max(0, ...bars.map((bar) => bar.total)));
  return (
    <div className="relative">
      <span className="absolute top-0.5 left-0 text-2xs text-faint">{top.toLocaleString()}</span>
      <svg
        role="img"
        aria-labelledby={titleId}
        viewBox={`0 0 ${Math.max(1, bars.length) * STEP} ${HEIGHT}`}
        preserveAspectRatio="none"
        className="h-40 w-full"
        onPointerLeave={() => onAt(null)}
      >
        <title id={titleId}>{title}; the same numbers stand in the table below</title>
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
              x={index * STEP}
              y="0"
              width={STEP}
              height={HEIGHT}
              className={at === index ? "fill-hover" : "fill-transparent"}
            />
            {stack(bar, series, top).map(({ kind, fill, y, height }) => (
              <rect
                key={kind}
                x={index * STEP + 1.5}
                width={STEP - 3}
                y={y}
                height={height}
                className={fill}
              />
            ))}
          </g>
        ))}
      </svg>
    </div>
  );
}

function stack<Kind extends string>(
  bar: Bar<Kind>,
  series: ReadonlyArray<Series<Kind>>,
  top: number,
): Array<{ kind: Kind; fill: string; y: number; height: number }> {
  let y = HEIGHT;
  return series.flatMap(({ kind, fill }) => {
    const height = (bar.counts[kind] / top) * HEIGHT;
    y -= height;
    return height > 0 ? [{ kind, fill, y, height }] : [];
  });
}

function Table<Kind extends string>({
  bars,
  series,
  hours,
  none,
}: Counted<Kind> & {
  hours: number;
  none: string;
}) {
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
              {series.map(({ kind, word }) => (
                <th key={kind} scope="col" className="py-1 text-right font-medium">
                  {word}
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
                {series.map(({ kind }) => (
                  <td key={kind} className="py-1 text-right text-ink">
                    {bar.counts[kind].toLocaleString()}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
        {shown.length === 0 && <p>{none}</p>}
      </div>
    </details>
  );
}

function momentOf(moment: number, hours: number): string {
  const day = hours > 24 ? ({ weekday: "short" } as const) : {};
  return new Intl.DateTimeFormat(undefined, { ...day, hour: "2-digit", minute: "2-digit" }).format(
    moment,
  );
}

function spanOf(bar: { startsAt: number; endsAt: number }, hours: number): string {
  return `${momentOf(bar.startsAt, hours)} – ${momentOf(bar.endsAt, hours)}`;
}
