// The page of who is not signed in: one narrow column, the name of the hub, nothing else.
import { type ReactNode, useEffect } from "react";
import { Logo } from "../app/logo.tsx";

export function Frame({ title, children }: { title: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Writ`;
  }, [title]);
  return (
    <main className="mx-auto flex min-h-dvh w-full max-w-sm flex-col justify-center gap-5 px-5 py-10">
      <div className="flex items-center gap-2.5">
        <Logo className="size-7" />
        <h1 className="text-xl font-semibold">{title}</h1>
      </div>
      {children}
    </main>
  );
}
