// The graph with what is open in it: which node, only its paths or everything, what has ended too.
import { useMemo } from "react";
import { useSearchParams } from "wouter";
import { Checkbox } from "../../ui/field.tsx";
import type { Facts } from "./authority.ts";
import { Canvas } from "./canvas.tsx";
import { Details } from "./details.tsx";
import { graphOf, standings } from "./graph.ts";

export function GraphPart({ facts, onOpen }: { facts: Facts; onOpen: (link: string) => void }) {
  const [params, setParams] = useSearchParams();
  const [at, only] = [params.get("at"), params.get("only")];
  const ended = params.has("ended");
  const change = (part: Record<string, string | null>) =>
    setParams((before) => {
      const next = new URLSearchParams(before);
      for (const [name, value] of Object.entries(part))
        if (value === null) next.delete(name);
        else next.set(name, value);
      return next;
    });
  const graph = useMemo(
    () => graphOf(facts, { ended, focus: only, now: Date.now() }),
    [facts, ended, only],
  );
  const standing = useMemo(() => standings(facts, Date.now()), [facts]);
  const node = graph.nodes.find((one) => one.id === at);
  const alone = facts.delegations.filter((one) => one.subject !== facts.log).length <= 1;
  return (
    <>
      <div className="rounded-lg border border-line bg-surface">
        <Canvas
          graph={graph}
          chosen={node?.id ?? null}
          onChoose={(id) => change({ at: id === at ? null : id })}
          onChooseLinks={(links, to) => {
            const [only] = links;
            if (links.length === 1 && only !== undefined) onOpen(only);
            else change({ at: to });
          }}
        />
        <div className="flex flex-wrap items-center gap-x-6 gap-y-2 border-t border-line px-4 py-2 text-xs text-muted">
          <Legend />
          <span className="ml-auto">
            <Checkbox
              label="Also what has ended"
              checked={ended}
              onChange={(event) => change({ ended: event.target.checked ? "" : null })}
            />
          </span>
        </div>
      </div>
      {alone && (
        <p className="text-muted">
          Nothing was lent yet but what the root lent to this hub. Roles and “Delegate” add to it.
        </p>
      )}
      {node ? (
        <Details
          node={node}
          graph={graph}
          facts={facts}
          standing={standing}
          focused={only === node.id}
          onFocus={(id) => change(id === null ? { only: null } : { only: id, at: id })}
          onOpen={onOpen}
        />
      ) : (
        <p role="status" className="text-muted">
          Choose a box to see what it was lent and whom it reaches, or a line to see its path.
        </p>
      )}
    </>
  );
}

const LINES = [
  ["", "was lent"],
  ["5 4", "may order"],
  ["1 4", "belongs to"],
] as const;

function Legend() {
  return (
    <ul className="flex flex-wrap gap-x-4 gap-y-1">
      {LINES.map(([dashes, says]) => (
        <li key={says} className="flex items-center gap-1.5">
          <svg aria-hidden="true" width="28" height="4" className="text-field-line">
            <line
              x1="0"
              y1="2"
              x2="28"
              y2="2"
              stroke="currentColor"
              strokeWidth="1.5"
              strokeDasharray={dashes}
            />
          </svg>
          {says}
        </li>
      ))}
    </ul>
  );
}
