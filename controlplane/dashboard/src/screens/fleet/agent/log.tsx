// What happens at one agent while somebody watches: its coming and going, its orders, what they
// report. Kept in this page only, and bounded.
import { useQuery } from "@tanstack/react-query";
import { Radio } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { api } from "../../../api/client.ts";
import { useEvents } from "../../../api/freshness.ts";
import type { AgentView } from "../../../api/schema.gen.ts";
import { inert } from "../../../ui/inert.ts";
import { Empty } from "../../../ui/notes.tsx";

interface Line {
  id: string;
  at: number;
  head: string;
  text: string;
}

const MOST_LINES = 2_000;
const MOST_CHARS = 4_000;
const NEAR_END_PX = 40;

export function AgentLog({ agent }: { agent: AgentView }) {
  const [lines, setLines] = useState<readonly Line[]>([]);
  const orders = useRef(new Map<string, string>());
  // Progress names its order, not its agent: these orders were under way before the page opened.
  const known = useQuery({
    queryKey: ["intents", "running", agent.did],
    queryFn: ({ signal }) =>
      api.get("/api/v1/intents", { query: { agent: agent.did, state: ["running"] }, signal }),
  });
  useEffect(() => {
    for (const one of known.data?.items ?? []) orders.current.set(one.id, one.action);
  }, [known.data]);
  const add = (id: string, head: string, text: string) =>
    setLines((before) =>
      [...before, { id, at: Date.now(), head, text: inert(text.slice(0, MOST_CHARS)) }].slice(
        -MOST_LINES,
      ),
    );
  useEvents("", ({ id, type, data }) => {
    const order = typeof data.id === "string" ? data.id : "";
    if (type === "intent.progress") {
      const action = orders.current.get(order);
      if (action !== undefined) add(id, action, textOf(data));
      return;
    }
    if (data.agent !== agent.did) return;
    if (type.startsWith("intent.")) {
      const action = String(data.action ?? orders.current.get(order) ?? "order");
      orders.current.set(order, action);
      add(id, action, String(data.state ?? type.slice("intent.".length)).replaceAll("_", " "));
    } else {
      add(id, type.split(".")[0] ?? "", type.slice(type.indexOf(".") + 1).replaceAll("_", " "));
    }
  });
  return <Lines lines={lines} name={agent.name} />;
}

function Lines({ lines, name }: { lines: readonly Line[]; name: string }) {
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: with each new line
  useEffect(() => {
    if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);
  if (lines.length === 0)
    return (
      <Empty icon={Radio} title="Listening">
        What happens at this agent from now on shows here as it happens.
      </Empty>
    );
  return (
    <div
      ref={box}
      role="log"
      aria-label={`What happens at ${name}`}
      tabIndex={0}
      onScroll={({ currentTarget: at }) => {
        follows.current = at.scrollHeight - at.scrollTop - at.clientHeight < NEAR_END_PX;
      }}
      className="max-h-[65vh] min-h-60 overflow-y-auto rounded-md border border-line bg-sunken p-3 font-mono text-xs/5"
    >
      {lines.map((line) => (
        <p key={line.id} className="flex gap-3">
          <time className="shrink-0 text-faint">
            {new Date(line.at).toLocaleTimeString(undefined, { hour12: false })}
          </time>
          <span className="w-28 shrink-0 truncate text-muted">{line.head}</span>
          <span className="min-w-0 break-all whitespace-pre-wrap">{line.text}</span>
        </p>
      ))}
    </div>
  );
}

function textOf(progress: Record<string, unknown>): string {
  const { data, kind } = progress;
  if (typeof data === "string") return data;
  if (typeof data === "object" && data !== null && "text" in data) return String(data.text);
  return `${String(kind ?? "")} ${JSON.stringify(data) ?? ""}`;
}
