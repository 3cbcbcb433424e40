// What Home asks the hub. Every key begins with the resource that makes it stale.
import { queryOptions } from "@tanstack/react-query";
import { api } from "../../api/client.ts";

const SHOWN = 5;
const LATELY = 12;

export const overviewOf = (hours: number) =>
  queryOptions({
    queryKey: ["overview", hours],
    queryFn: ({ signal }) => api.get("/api/v1/overview", { query: { hours }, signal }),
    // Stretches move on even while nothing happens.
    refetchInterval: 60_000,
    placeholderData: (before) => before,
  });

export const waitingApprovals = queryOptions({
  queryKey: ["approvals", "home"],
  queryFn: ({ signal }) =>
    api.get("/api/v1/approvals", { query: { state: "pending", limit: SHOWN }, signal }),
});

export const waitingRegistrations = queryOptions({
  queryKey: ["registrations", "home"],
  queryFn: ({ signal }) =>
    api.get("/api/v1/registrations", { query: { state: "pending", limit: SHOWN }, signal }),
});

export const stoppedAgents = queryOptions({
  queryKey: ["agents", "home"],
  queryFn: ({ signal }) =>
    api.get("/api/v1/agents", { query: { status: "quarantined", limit: SHOWN }, signal }),
});

const DAYS_30_MS = 30 * 86_400_000;

/** Forks of the record that were reported lately; older ones stand in Audit. */
export const newForks = queryOptions({
  queryKey: ["audit", "home", "forks"],
  queryFn: ({ signal }) =>
    api.get("/api/v1/audit", {
      query: {
        kind: "audit.fork_reported",
        since: new Date(Date.now() - DAYS_30_MS).toISOString(),
        limit: SHOWN,
      },
      signal,
    }),
});

/** Webhooks of which nothing arrives any more. */
export const brokenWebhooks = queryOptions({
  queryKey: ["webhooks", "home"],
  queryFn: async ({ signal }) => {
    const { items } = await api.get("/api/v1/webhooks", { query: { limit: 100 }, signal });
    return items
      .filter((one) => one.disabledReason === "failing" || one.disabledReason === "gone")
      .slice(0, SHOWN);
  },
});

export const lateOrders = queryOptions({
  queryKey: ["intents", "home"],
  queryFn: ({ signal }) => api.get("/api/v1/intents", { query: { limit: LATELY }, signal }),
});
