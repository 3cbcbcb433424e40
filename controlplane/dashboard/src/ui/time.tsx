// Times as distances, with the whole time at hand; one clock for all of them.
import { useSyncExternalStore } from "react";

const TICK_MS = 1_000;
let now = Date.now();
let timer: ReturnType<typeof setInterval> | null = null;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const one of listeners) one();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
  };
}

const UNITS: ReadonlyArray<readonly [seconds: number, letter: string]> = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "m"],
  [1, "s"],
];

/** A length of time in its greatest unit, such as `4m`. */
export function shortLength(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [unit, letter] = UNITS.find(([one]) => seconds >= one) ?? [1, "s"];
  return `${Math.floor(seconds / unit)}${letter}`;
}

/** A distance from now in words: `just now`, `4m ago`, `in 2h`. */
export function distance(moment: number, from: number): string {
  const apart = moment - from;
  if (Math.abs(apart) < 5_000) return "just now";
  return apart < 0 ? `${shortLength(-apart)} ago` : `in ${shortLength(apart)}`;
}

export function fullTime(moment: string): string {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" }).format(
    new Date(moment),
  );
}

/** How far away a time is, kept true while it is shown. */
export function Ago({ at, empty = "never" }: { at: string | null | undefined; empty?: string }) {
  if (!at) return <span className="text-faint">{empty}</span>;
  return <Distance at={at} />;
}

function Distance({ at }: { at: string }) {
  const text = useSyncExternalStore(subscribe, () => distance(Date.parse(at), now));
  return (
    <time dateTime={at} title={fullTime(at)} className="tabular whitespace-nowrap">
      {text}
    </time>
  );
}

/** What is left until a time as `m:ss`, and `over` once it has passed. */
export function Countdown({ to, over = "over" }: { to: string; over?: string }) {
  const left = useSyncExternalStore(subscribe, () =>
    Math.max(0, Math.ceil((Date.parse(to) - now) / 1000)),
  );
  const text =
    left === 0
      ? over
      : left >= 3_600
        ? shortLength(left * 1000)
        : `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  return (
    <time dateTime={to} title={fullTime(to)} className="tabular whitespace-nowrap">
      {text}
    </time>
  );
}
