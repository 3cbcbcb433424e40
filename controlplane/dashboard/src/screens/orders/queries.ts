// Orders as the hub tells of them: pages, one with its documents, and its reports as they come.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, hubUrl } from "../../api/client.ts";
import { readEvents } from "../../api/event_stream.ts";
import { usePages } from "../../api/pages.ts";
import type { AgentView, IntentView } from "../../api/schema.gen.ts";
import { canVerify } from "../../proof/keys.ts";
import { type OrderProof, proveOrder, type ShownOrder } from "../../proof/orders.ts";
import { trustedRoot } from "../../proof/trusted_root.ts";

export const FILTERS = ["state", "agent", "action", "realm", "batchId"] as const;
export type Filters = Partial<Record<(typeof FILTERS)[number], string>>;

export const STATES = [
  "queued",
  "dispatched",
  "accepted",
  "running",
  "succeeded",
  "failed",
  "refused",
  "cancelled",
  "timed_out",
  "interrupted",
  "expired",
] as const;
const OPEN: readonly string[] = ["queued", "dispatched", "accepted", "running"];
export const isOpen = (state: string): boolean => OPEN.includes(state);

/** `state` may name several, with commas between: an order in any of them is shown. */
export function useOrders({ state, ...others }: Filters) {
  return usePages<IntentView>(["intents", "list", state, others], ({ limit, cursor }, signal) =>
    api.get("/api/v1/intents", {
      query: { ...others, state: state?.split(","), limit, cursor } as never,
      signal,
    }),
  );
}

/** One order with its documents; none where there is no id yet. */
export function useOrder(id: string | null) {
  return useQuery({
    queryKey: ["intents", "one", id],
    enabled: id !== null,
    queryFn: ({ signal }) => api.get("/api/v1/intents/{id}", { path: { id: id ?? "" }, signal }),
  });
}

const AGENTS_A_PAGE = 200;
const MOST_AGENT_PAGES = 25;

/** The agents this person may see, as far as a form can offer them. */
export function useAgents() {
  return useQuery({
    queryKey: ["agents", "for-orders"],
    queryFn: async ({ signal }) => {
      const found: AgentView[] = [];
      let cursor: string | null = null;
      for (let page = 0; page < MOST_AGENT_PAGES; page += 1) {
        const query: { limit: number; cursor: string | null } = { limit: AGENTS_A_PAGE, cursor };
        const { items, nextCursor } = await api.get("/api/v1/agents", { query, signal });
        found.push(...items);
        cursor = nextCursor;
        if (cursor === null) break;
      }
      return found;
    },
  });
}

export interface Report {
  index: number;
  kind: string;
  data: unknown;
}

const MOST_REPORTS = 2_000;

/** What an agent has reported about an order, and goes on to report while it is open. */
export function useReports(id: string): readonly Report[] {
  const [reports, setReports] = useState<readonly Report[]>([]);
  const client = useQueryClient();
  useEffect(() => {
    const ended = new AbortController();
    const read = async () => {
      const answer = await fetch(hubUrl(`/api/v1/intents/${encodeURIComponent(id)}/events`), {
        credentials: "same-origin",
        cache: "no-store",
        signal: ended.signal,
      });
      if (!answer.ok || answer.body === null) return;
      for await (const event of readEvents(answer.body)) {
        if (event?.type === "intent.progress") {
          const { index, kind, data } = event.data;
          const report = { index: Number(index), kind: String(kind), data };
          setReports((known) =>
            known.some((one) => one.index === report.index)
              ? known
              : [...known, report].slice(-MOST_REPORTS),
          );
        } else if (event?.type === "intent.finished") {
          await client.invalidateQueries({ queryKey: ["intents", "one", id] });
        }
      }
    };
    // A stream that breaks costs reports only: the state comes with the page's own stream.
    read().catch(() => undefined);
    return () => ended.abort();
  }, [id, client]);
  return reports;
}

export interface Proved {
  proof: OrderProof;
  /** DID of another root than the one this browser trusts, where the hub shows one. */
  otherRoot: string | null;
}

/** The order's proof, made by this browser from the documents; null where it cannot check. */
export function useProof(order: IntentView | undefined) {
  return useQuery({
    queryKey: ["intents", "proof", order?.id, order?.state, order?.result?.documentId ?? null],
    enabled: order?.documents != null,
    staleTime: Infinity,
    queryFn: async ({ signal }): Promise<Proved | null> => {
      if (order?.documents == null || !(await canVerify())) return null;
      const about = await api.get("/.well-known/writ.json", { signal });
      const { root, shownInstead } = trustedRoot(hubUrl("").href, about.root);
      const inclusion = await api
        .get("/api/v1/intents/{id}/inclusion", { path: { id: order.id }, signal })
        .catch(() => null);
      const proof = await proveOrder(order as unknown as ShownOrder, inclusion, root);
      return { proof, otherRoot: shownInstead };
    },
  });
}
