// What Fleet asks the hub. Every key begins with the resource that makes it stale.
import { queryOptions } from "@tanstack/react-query";
import { api } from "../../api/client.ts";

export interface AgentFilter {
  q: string;
  status: string;
  realm: string;
  label: string;
}

export const waitingRequests = queryOptions({
  queryKey: ["registrations", "pending"],
  queryFn: ({ signal }) =>
    api.get("/api/v1/registrations", { query: { state: "pending", limit: 200 }, signal }),
});

export const requestOf = (id: string) =>
  queryOptions({
    queryKey: ["registrations", id],
    queryFn: ({ signal }) => api.get("/api/v1/registrations/{id}", { path: { id }, signal }),
  });

export const agentOf = (did: string) =>
  queryOptions({
    queryKey: ["agents", did],
    queryFn: ({ signal }) => api.get("/api/v1/agents/{did}", { path: { did }, signal }),
  });

export const standingOf = (did: string) =>
  queryOptions({
    queryKey: ["policies", "of", did],
    queryFn: ({ signal }) => api.get("/api/v1/agents/{did}/policy", { path: { did }, signal }),
  });

export const delegationsTo = (did: string) =>
  queryOptions({
    queryKey: ["delegations", "to", did],
    queryFn: ({ signal }) =>
      api.get("/api/v1/delegations", { query: { subject: did, limit: 200 }, signal }),
  });

export const delegationsBy = (did: string) =>
  queryOptions({
    queryKey: ["delegations", "by", did],
    queryFn: ({ signal }) =>
      api.get("/api/v1/delegations", { query: { issuer: did, limit: 200 }, signal }),
  });
