// What a place says when there is nothing to show yet, nothing at all, or something went wrong.
import { CircleAlert, Info, type LucideIcon, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { asProblem, type Problem } from "../api/problem.ts";
import { Button } from "./button.tsx";
import { classes } from "./classes.ts";

/** Nothing is there: what this place is for, and what to do to fill it. */
export function Empty({
  icon: Icon,
  title,
  children,
  action,
}: {
  icon: LucideIcon;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className="flex flex-col items-center gap-2 px-4 py-14 text-center">
      <Icon aria-hidden className="size-6 text-faint" strokeWidth={1.5} />
      <p className="font-medium">{title}</p>
      {children && <div className="max-w-md text-muted">{children}</div>}
      {action && <div className="mt-2 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}

/** A whole place that could not be loaded. */
export function Failed({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const problem = asProblem(error);
  return (
    <div role="alert" className="flex flex-col items-center gap-2 px-4 py-14 text-center">
      <CircleAlert aria-hidden className="size-6 text-bad" strokeWidth={1.5} />
      <p className="font-medium">{problem.title}</p>
      {problem.detail && <p className="max-w-md text-muted">{problem.detail}</p>}
      <p className="font-mono text-2xs text-faint">
        {problem.code}
        {problem.requestId && ` · request ${problem.requestId}`}
      </p>
      {onRetry && (
        <Button className="mt-2" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** What went wrong, beside what it is about. */
export function ProblemNote({ problem }: { problem: Problem }) {
  return (
    <div role="alert" className="rounded-md bg-bad-ground px-3 py-2 text-bad">
      <p className="font-medium">{problem.title}</p>
      {problem.detail && <p>{problem.detail}</p>}
      {problem.fields.map((one) => (
        <p key={one.pointer + one.detail}>
          <code className="text-xs">{one.pointer}</code> {one.detail}
        </p>
      ))}
      {problem.requestId && <p className="mt-1 font-mono text-2xs">request {problem.requestId}</p>}
    </div>
  );
}

const TONES = {
  info: { ground: "bg-busy-ground text-busy", icon: Info },
  wait: { ground: "bg-wait-ground text-wait", icon: TriangleAlert },
  bad: { ground: "bg-bad-ground text-bad", icon: CircleAlert },
} as const;

export function Note({
  tone = "info",
  children,
}: {
  tone?: keyof typeof TONES;
  children: ReactNode;
}) {
  const { ground, icon: Icon } = TONES[tone];
  return (
    <div className={classes("flex gap-2 rounded-md px-3 py-2", ground)}>
      <Icon aria-hidden className="mt-0.5 size-4 shrink-0" />
      <div className="min-w-0 flex-1">{children}</div>
    </div>
  );
}

/** Lines that hold the place of text under way, so that nothing jumps when it comes. */
export function Waiting({ lines = 3 }: { lines?: number }) {
  return (
    <div role="status" aria-label="Loading" className="flex flex-col gap-2 p-4">
      {Array.from({ length: lines }, (_, at) => (
        <span
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name
          key={at}
          className={classes(
            "h-4 animate-breathe rounded-sm bg-sunken",
            at % 3 === 2 ? "w-1/2" : at % 3 === 1 ? "w-5/6" : "w-full",
          )}
        />
      ))}
    </div>
  );
}
