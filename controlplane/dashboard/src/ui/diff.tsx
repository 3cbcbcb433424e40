// What changed between two texts, line by line; signs as well as colours, and spoken in words.
import { useMemo } from "react";
import { classes } from "./classes.ts";
import { inert } from "./inert.ts";
import { type DiffLine, diffLines } from "./line_diff.ts";

const LOOKS = {
  same: { sign: " ", look: "", said: "" },
  gone: { sign: "-", look: "bg-bad-ground", said: "removed: " },
  new: { sign: "+", look: "bg-good-ground", said: "added: " },
} as const;
const AROUND = 3;

/** `before` and `after` as text; values go through `asText` first. */
export function Diff({ before, after, label }: { before: string; after: string; label: string }) {
  const lines = useMemo(() => fold(diffLines(before, after)), [before, after]);
  if (lines.every((line) => line !== null && line.kind === "same"))
    return <p className="text-muted">Nothing differs.</p>;
  return (
    <div
      tabIndex={0}
      role="region"
      aria-label={label}
      className="overflow-x-auto rounded-md border border-line bg-sunken"
    >
      <table className="w-full font-mono text-xs/5">
        <tbody>
          {lines.map((line, at) =>
            line === null ? (
              // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name
              <tr key={at} className="text-faint">
                <td colSpan={3} className="px-3">
                  ⋯
                </td>
              </tr>
            ) : (
              // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name
              <tr key={at} className={LOOKS[line.kind].look}>
                <td aria-hidden className="w-8 pl-2 text-right text-faint select-none">
                  {line.after ?? line.before}
                </td>
                <td aria-hidden className="w-5 text-center select-none">
                  {LOOKS[line.kind].sign}
                </td>
                <td className={classes("pr-3 break-all whitespace-pre-wrap")}>
                  <span className="sr-only">{LOOKS[line.kind].said}</span>
                  {inert(line.text)}
                </td>
              </tr>
            ),
          )}
        </tbody>
      </table>
    </div>
  );
}

/** A value as the text a diff compares: indented JSON with its keys in one order. */
export function asText(value: unknown): string {
  return JSON.stringify(value, (_, one) => sorted(one), 2) ?? "";
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Long stretches that stayed, cut to a few lines around each change; null stands for the cut. */
function fold(lines: DiffLine[]): Array<DiffLine | null> {
  const near = new Set<number>();
  lines.forEach((line, at) => {
    if (line.kind !== "same")
      for (let one = at - AROUND; one <= at + AROUND; one += 1) near.add(one);
  });
  if (near.size === 0) return lines;
  const kept: Array<DiffLine | null> = [];
  lines.forEach((line, at) => {
    if (near.has(at)) kept.push(line);
    else if (kept.at(-1) !== null) kept.push(null);
  });
  return kept;
}
