// What waits for people, what was decided, and one of them.
import { useQuery } from "@tanstack/react-query";
import { api } from "../../api/client.ts";
import { useSession } from "../../api/me.ts";
import { usePages } from "../../api/pages.ts";
import type { ApprovalView } from "../../api/schema.gen.ts";

const MOST_WAITING = 200;

/** Everything that waits, oldest first: what arrives is put at the end, where nobody's pointer is. */
export function useWaiting(enabled = true) {
  return useQuery({
    queryKey: ["approvals", "pending"],
    enabled,
    queryFn: ({ signal }) =>
      api
        .get("/api/v1/approvals", { query: { state: "pending", limit: MOST_WAITING }, signal })
        .then(({ items }) => [...items].reverse()),
  });
}

export function useWaitingCount(): number {
  const may = useSession().me?.permissions.includes("approvals.read") ?? false;
  return useWaiting(may).data?.length ?? 0;
}

/** What people have decided, and what nobody decided in time; newest first. */
export function useDecided() {
  const pages = usePages<ApprovalView>(["approvals", "all"], ({ limit, cursor }, signal) =>
    api.get("/api/v1/approvals", { query: { limit, cursor }, signal }),
  );
  return { ...pages, items: pages.items.filter((one) => one.state !== "pending") };
}

export function useApproval(id: string) {
  return useQuery({
    queryKey: ["approvals", "one", id],
    queryFn: ({ signal }) => api.get("/api/v1/approvals/{id}", { path: { id }, signal }),
  });
}

/** The newest call of the same action at the same agent that people have approved; null: none. */
export function useLastApproved(approval: ApprovalView) {
  const { id, agent, tool } = approval;
  return useQuery({
    queryKey: ["approvals", "last", id],
    queryFn: async ({ signal }) => {
      const query = { state: "approved", agent, tool, limit: 2 };
      const { items } = await api.get("/api/v1/approvals", { query, signal });
      return items.find((one) => one.id !== id) ?? null;
    },
  });
}
