// Parts of one thing, each with its own address: links that look like tabs.
import { Link, useLocation } from "wouter";
import { classes } from "./classes.ts";

export interface LinkTab {
  to: string;
  label: string;
  count?: number | undefined;
}

export function LinkTabs({ label, tabs }: { label: string; tabs: readonly LinkTab[] }) {
  const [location] = useLocation();
  return (
    <nav
      aria-label={label}
      className="-mx-4 overflow-x-auto border-b border-line px-4 sm:mx-0 sm:px-0"
    >
      <ul className="flex gap-4">
        {tabs.map(({ to, label: word, count }) => {
          const here = location === to;
          return (
            <li key={to}>
              <Link
                to={to}
                aria-current={here ? "page" : undefined}
                className={classes(
                  "-mb-px flex h-9 items-center gap-1.5 border-b-2 whitespace-nowrap pointer-coarse:h-11",
                  here
                    ? "border-accent-ink font-medium"
                    : "border-transparent text-muted hover:text-ink",
                )}
              >
                {word}
                {count !== undefined && count > 0 && (
                  <span className="tabular text-xs text-faint">{count}</span>
                )}
              </Link>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}
