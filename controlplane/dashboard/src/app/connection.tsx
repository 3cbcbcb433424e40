// Whether what is shown is what is: said in a word, and across the page once it has been lost for a
// moment.
import { useEffect, useState } from "react";
import { useLiveState } from "../api/freshness.ts";
import { live } from "../api/live.ts";
import { Mark } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";

const PATIENCE_MS = 2_000;

export function ConnectionWord() {
  const state = useLiveState();
  const word = { live: "Live", connecting: "Connecting", lost: "Not connected" }[state.kind];
  return (
    <span className="inline-flex items-center gap-1.5 text-xs text-muted">
      <Mark
        tone={state.kind === "live" ? "good" : state.kind === "lost" ? "bad" : "idle"}
        live={state.kind !== "live"}
      />
      {word}
    </span>
  );
}

export function ConnectionBanner() {
  const state = useLiveState();
  const since = state.kind === "lost" ? state.since : null;
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    if (since === null) return;
    const timer = setTimeout(() => setLate(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [since]);
  return (
    <div role="status">
      {late && (
        <div className="flex items-center justify-center gap-3 bg-wait-ground px-4 py-1.5 text-wait">
          <p>The hub does not answer. What you see may be out of date; this page keeps trying.</p>
          <Button size="sm" onClick={() => live.retry()}>
            Try now
          </Button>
        </div>
      )}
    </div>
  );
}
