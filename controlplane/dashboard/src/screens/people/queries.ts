// What People asks the hub. Every key begins with the resource that makes it stale.
import { queryOptions, useQuery } from "@tanstack/react-query";
import { api } from "../../api/client.ts";
import { useMe } from "../../api/me.ts";
import { usePages } from "../../api/pages.ts";
import type { RolesView } from "../../api/schema.gen.ts";
import { mayIn } from "./standing.ts";

export type UserKind = "person" | "service";
/** A `select` cannot hold what is no text: this stands for a role held in every realm. */
export const EVERYWHERE = "*";

export function useUsers({ q, kind }: { q: string; kind: UserKind | "" }) {
  return usePages(["people", "users", q, kind], (page, signal) =>
    api.get("/api/v1/users", { query: { ...page, q, ...(kind ? { kind } : {}) }, signal }),
  );
}

export const userOf = (id: string) =>
  queryOptions({
    queryKey: ["people", "user", id],
    queryFn: ({ signal }) => api.get("/api/v1/users/{id}", { path: { id }, signal }),
  });

export const services = queryOptions({
  queryKey: ["people", "services"],
  queryFn: ({ signal }) =>
    api.get("/api/v1/users", { query: { kind: "service", limit: 200 }, signal }),
});

export function useRealms() {
  return usePages(["people", "realms", "pages"], (page, signal) =>
    api.get("/api/v1/realms", { query: page, signal }),
  );
}

export const realmOf = (id: string) =>
  queryOptions({
    queryKey: ["people", "realm", id],
    queryFn: ({ signal }) => api.get("/api/v1/realms/{id}", { path: { id }, signal }),
  });

export const membersOf = (id: string) =>
  queryOptions({
    queryKey: ["people", "members", id],
    queryFn: ({ signal }) => api.get("/api/v1/realms/{id}/members", { path: { id }, signal }),
  });

export const roleMatrix = queryOptions({
  queryKey: ["people", "roles"],
  staleTime: Number.POSITIVE_INFINITY,
  queryFn: ({ signal }) => api.get("/api/v1/roles", { signal }),
});

export function useInvitations() {
  return usePages(["people", "invitations"], (page, signal) =>
    api.get("/api/v1/invitations", { query: page, signal }),
  );
}

export function useApiKeys() {
  return usePages(["people", "keys"], (page, signal) =>
    api.get("/api/v1/api-keys", { query: page, signal }),
  );
}

export const NO_ROLES: RolesView = { items: [], permissions: [], nextCursor: null };

/** The matrix of roles; an empty one while it is under way. */
export function useRoleMatrix(): RolesView {
  return useQuery(roleMatrix).data ?? NO_ROLES;
}

/** Whether the person may do something in this realm; with null, everywhere. */
export function useCanIn(permission: string, realm: string | null): boolean {
  return mayIn(useRoleMatrix(), useMe(), permission, realm);
}
