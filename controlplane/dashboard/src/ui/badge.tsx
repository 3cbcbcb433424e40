// The state of a thing in one word: a mark and a text, never a colour alone.
import { classes } from "./classes.ts";

export type Tone = "good" | "wait" | "bad" | "busy" | "idle";

const GROUNDS: Record<Tone, string> = {
  good: "bg-good-ground text-good",
  wait: "bg-wait-ground text-wait",
  bad: "bg-bad-ground text-bad",
  busy: "bg-busy-ground text-busy",
  idle: "bg-idle-ground text-idle",
};
const MARKS: Record<Tone, string> = {
  good: "bg-good-mark",
  wait: "bg-wait-mark",
  bad: "bg-bad-mark",
  busy: "bg-busy-mark",
  idle: "bg-idle-mark",
};

export function Badge({ tone = "idle", children }: { tone?: Tone; children: React.ReactNode }) {
  return (
    <span
      className={classes(
        "inline-flex h-5 max-w-full items-center gap-1 truncate rounded-sm px-1.5 text-2xs font-medium",
        GROUNDS[tone],
      )}
    >
      {children}
    </span>
  );
}

/** A mark with a word beside it, for tables; `live` breathes while something is under way. */
export function State({
  tone,
  children,
  live = false,
}: {
  tone: Tone;
  children: React.ReactNode;
  live?: boolean;
}) {
  return (
    <span className="inline-flex min-w-0 items-center gap-1.5 whitespace-nowrap">
      <Mark tone={tone} live={live} />
      <span className="truncate">{children}</span>
    </span>
  );
}

export function Mark({ tone, live = false }: { tone: Tone; live?: boolean }) {
  return (
    <span
      aria-hidden
      className={classes("size-2 shrink-0 rounded-full", MARKS[tone], live && "animate-breathe")}
    />
  );
}

const STATES: Record<string, Tone> = {
  online: "good",
  succeeded: "good",
  approved: "good",
  active: "good",
  verified: "good",
  pending: "wait",
  awaiting_approval: "wait",
  quarantined: "wait",
  interrupted: "wait",
  failed: "bad",
  refused: "bad",
  denied: "bad",
  rejected: "bad",
  revoked: "bad",
  timed_out: "bad",
  running: "busy",
  accepted: "busy",
  dispatched: "busy",
  queued: "busy",
};

/** The tone of a state's name, wherever states of orders, agents and requests are shown. */
export function toneOf(state: string): Tone {
  return STATES[state] ?? "idle";
}

/** A state's name as people read it. */
export function wordOf(state: string): string {
  return state.replaceAll("_", " ");
}

export function StateWord({ state }: { state: string }) {
  const tone = toneOf(state);
  return (
    <State tone={tone} live={tone === "busy"}>
      {wordOf(state)}
    </State>
  );
}
