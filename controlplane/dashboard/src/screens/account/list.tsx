// A short list inside a section: a name, what is known of it, and one thing to do.
import type { ReactNode } from "react";

export function List({ label, children }: { label: string; children: ReactNode }) {
  return (
    <ul aria-label={label} className="-m-4">
      {children}
    </ul>
  );
}

export function Item({
  title,
  about,
  action,
}: {
  title: ReactNode;
  about: ReactNode;
  action?: ReactNode;
}) {
  return (
    <li className="flex items-center gap-3 border-b border-line px-4 py-2.5 last:border-0">
      <div className="min-w-0 flex-1">
        <p className="truncate font-medium">{title}</p>
        <div className="text-muted">{about}</div>
      </div>
      {action}
    </li>
  );
}
