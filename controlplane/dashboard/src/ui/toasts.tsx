// What has just happened, said once: shown for a while, and told to screen readers.
import { CircleAlert, CircleCheck, X } from "lucide-react";
import { useEffect, useSyncExternalStore } from "react";
import { asProblem } from "../api/problem.ts";
import { IconButton } from "./button.tsx";

export interface Toast {
  id: number;
  tone: "good" | "bad";
  title: string;
  detail?: string | undefined;
}

const SHOWN_MS = 6_000;
const MOST = 4;
let toasts: readonly Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(changed: readonly Toast[]): void {
  toasts = changed;
  for (const listener of listeners) listener();
}
function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function toast(title: string, detail?: string): void {
  set([...toasts, { id: next++, tone: "good" as const, title, detail }].slice(-MOST));
}

/** Say that something did not work; where there is a form, say it there instead. */
export function toastProblem(error: unknown): void {
  const problem = asProblem(error);
  const detail = problem.detail ?? undefined;
  set([...toasts, { id: next++, tone: "bad" as const, title: problem.title, detail }].slice(-MOST));
}

const dismiss = (id: number) => set(toasts.filter((one) => one.id !== id));

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <section
      aria-label="Messages"
      aria-live="polite"
      className="pointer-events-none fixed inset-x-3 bottom-3 z-60 flex flex-col items-end gap-2 max-sm:bottom-[calc(4.5rem+env(safe-area-inset-bottom))]"
    >
      {shown.map((one) => (
        <Shown key={one.id} toast={one} />
      ))}
    </section>
  );
}

function Shown({ toast: { id, tone, title, detail } }: { toast: Toast }) {
  useEffect(() => {
    // What went wrong stays until somebody has read it.
    if (tone === "bad") return;
    const timer = setTimeout(() => dismiss(id), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [id, tone]);
  return (
    <div
      role={tone === "bad" ? "alert" : undefined}
      className="pointer-events-auto flex w-full max-w-sm animate-rise items-start gap-2 rounded-md border border-line bg-raised p-3 shadow-raised"
    >
      {tone === "good" ? (
        <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0 text-good" />
      ) : (
        <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
      )}
      <div className="min-w-0 flex-1">
        <p className="font-medium">{title}</p>
        {detail && <p className="text-muted">{detail}</p>}
      </div>
      <IconButton label="Dismiss" icon={X} className="-m-1" onClick={() => dismiss(id)} />
    </div>
  );
}
