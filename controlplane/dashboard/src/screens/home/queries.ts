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

export const lateOrders = queryOptions({
  queryKey: ["intents", "home"],
  queryFn: ({ signal }) => api.get("/api/v1/intents", { query: { limit: LATELY }, signal }),
});
