// The frame of a screen: its title, what can be done there, and its width.
import { ChevronLeft } from "lucide-react";
import { type ReactNode, useEffect } from "react";
import { Link } from "wouter";
import { classes } from "../ui/classes.ts";

export interface PageProps {
  title: string;
  /** Under the title, small. */
  about?: ReactNode;
  /** Buttons; at most one primary. */
  actions?: ReactNode;
  /** Where it belongs: shown as a way back. */
  back?: { to: string; label: string };
  /** Its content goes to the edges, as tables do. */
  flush?: boolean;
  children: ReactNode;
}

export function Page({ title, about, actions, back, flush = false, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Writ`;
  }, [title]);
  return (
    <div className="mx-auto w-full max-w-[90rem]">
      <header className="flex min-h-16 flex-wrap items-center gap-x-4 gap-y-2 px-4 pt-4 pb-3 sm:px-6">
        <div className="min-w-0 flex-1 basis-60">
          {back && (
            <Link
              to={back.to}
              className="-ml-1 inline-flex items-center text-xs text-muted hover:text-ink"
            >
              <ChevronLeft aria-hidden className="size-3.5" />
              {back.label}
            </Link>
          )}
          <h1 tabIndex={-1} className="text-xl font-semibold outline-none">
            {title}
          </h1>
          {about && <div className="mt-0.5 text-muted">{about}</div>}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </header>
      <div className={classes(flush ? "sm:px-3" : "px-4 sm:px-6", "pb-10")}>{children}</div>
    </div>
  );
}

export function Section({
  title,
  actions,
  children,
  flush = false,
}: {
  title: string;
  actions?: ReactNode;
  children: ReactNode;
  flush?: boolean;
}) {
  return (
    <section aria-label={title} className="min-w-0 rounded-lg border border-line bg-surface">
      <header className="flex min-h-10 flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-1.5">
        <h2 className="text-sm font-semibold">{title}</h2>
        {actions && <div className="flex flex-wrap gap-1">{actions}</div>}
      </header>
      <div className={flush ? "" : "p-4"}>{children}</div>
    </section>
  );
}

/** Facts as pairs of a name and a value. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className="grid grid-cols-[minmax(6rem,auto)_1fr] gap-x-4 gap-y-2">{children}</dl>;
}

export function Fact({ name, children }: { name: ReactNode; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </>
  );
}
