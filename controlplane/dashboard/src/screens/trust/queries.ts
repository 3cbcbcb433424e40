// What the trust screen asks the hub, in bounded pages: nothing here grows with the fleet.
import { useQueries, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { api, hubUrl } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import type { AgentView, DelegationView, UserView } from "../../api/schema.gen.ts";
import { type Verified, verifyLent } from "../../proof/lent.ts";
import { trustedRoot } from "../../proof/trusted_root.ts";
import type { Chain, Facts } from "./authority.ts";

const A_PAGE = 200;
export const MOST_DELEGATIONS = 5_000;
const MOST_PEOPLE = 1_000;
/** Agents of a large fleet that are asked for by name because a delegation names them. */
const MOST_NAMED = 40;

interface PageOf<T> {
  items: T[];
  nextCursor: string | null;
}

async function readPages<T>(
  most: number,
  fetchPage: (page: { limit: number; cursor: string | null }) => Promise<PageOf<T>>,
): Promise<{ items: T[]; whole: boolean }> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const page: PageOf<T> = await fetchPage({ limit: A_PAGE, cursor });
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null && items.length < most);
  return { items, whole: cursor === null };
}

function useNames() {
  return useQuery({
    queryKey: ["settings", "writ.json"],
    queryFn: ({ signal }) => api.get("/.well-known/writ.json", { signal }),
  });
}

function useDelegations() {
  return useQuery({
    queryKey: ["delegations", "all"],
    queryFn: ({ signal }) =>
      readPages<DelegationView>(MOST_DELEGATIONS, (page) =>
        api.get("/api/v1/delegations", { query: page, signal }),
      ),
  });
}

/** The first page of agents: all of them in a small fleet. */
function useFirstAgents() {
  return useQuery({
    queryKey: ["agents", "trust"],
    queryFn: ({ signal }) => api.get("/api/v1/agents", { query: { limit: A_PAGE }, signal }),
  });
}

function usePeople() {
  const may = useCan("users.read");
  return useQuery({
    queryKey: ["people", "trust"],
    enabled: may,
    queryFn: ({ signal }) =>
      readPages<UserView>(MOST_PEOPLE, (page) => api.get("/api/v1/users", { query: page, signal })),
  });
}

/** Everything that the graph, the list and the answers are made of. */
export function useFacts() {
  const names = useNames();
  const delegations = useDelegations();
  const first = useFirstAgents();
  const people = usePeople();
  const mayCount = useCan("intents.read");
  const counts = useQuery({
    queryKey: ["overview", "trust"],
    enabled: mayCount && first.data?.nextCursor != null,
    queryFn: ({ signal }) => api.get("/api/v1/overview", { signal }),
  });
  const realms = useQuery({
    queryKey: ["people", "realms"],
    queryFn: ({ signal }) => api.get("/api/v1/realms", { query: { limit: A_PAGE }, signal }),
  });
  const revocations = useQuery({
    queryKey: ["delegations", "revocations"],
    queryFn: ({ signal }) => api.get("/api/v1/revocations", { signal }),
  });
  const own = useQuery({
    queryKey: ["me", "keys", "listed"],
    retry: false,
    queryFn: ({ signal }) => api.get("/api/v1/me/keys", { signal }),
  });
  const named = useNamedAgents(delegations.data?.items, first.data);
  const facts = useMemo((): Facts | undefined => {
    const about = names.data;
    if (!about || !delegations.data || !first.data || !realms.data || !revocations.data)
      return undefined;
    const agents = new Map([...first.data.items, ...named].map((one) => [one.did, one] as const));
    const live = [...agents.values()].filter((one) => one.state !== "revoked").length;
    const { online = 0, offline = 0, quarantined = 0 } = counts.data?.agents ?? {};
    return {
      root: about.root,
      hub: about.hub,
      log: about.log,
      delegations: delegations.data.items,
      allDelegations: delegations.data.whole,
      agents,
      allAgents: first.data.nextCursor === null,
      agentCount:
        first.data.nextCursor === null ? live : counts.data ? online + offline + quarantined : null,
      people: people.data
        ? new Map(people.data.items.map((one) => [`user:${one.id}`, one] as const))
        : null,
      realms: realms.data.items.map((one) => one.id),
      ownKeys: new Map(own.data?.items.map((one) => [one.did, one.name] as const) ?? []),
      operators: new Set(
        delegations.data.items.filter((one) => one.issuer === about.root).map((one) => one.subject),
      ),
      revokedKeys: new Set(revocations.data.keys),
    };
  }, [
    names.data,
    delegations.data,
    first.data,
    realms.data,
    revocations.data,
    people.data,
    own.data,
    counts.data,
    named,
  ]);
  const failed = [names, delegations, first, realms, revocations].find((one) => one.isError);
  return {
    facts,
    error: failed?.error ?? null,
    retry: () => void failed?.refetch(),
  };
}

/** Agents that delegations name and the first page does not hold. */
function useNamedAgents(
  delegations: readonly DelegationView[] | undefined,
  first: PageOf<AgentView> | undefined,
): readonly AgentView[] {
  const wanted = useMemo(() => {
    if (!delegations || !first || first.nextCursor === null) return [];
    const known = new Set(first.items.map((one) => one.did));
    // Subjects are not asked for: most are somebody's key, which the hub would answer with 404.
    const said = delegations.flatMap((one) =>
      one.capabilities.flatMap((item) => item.agents ?? []),
    );
    return [...new Set(said)]
      .filter((id) => id.startsWith("did:") && !known.has(id))
      .slice(0, MOST_NAMED);
  }, [delegations, first]);
  return useQueries({
    queries: wanted.map((did) => ({
      queryKey: ["agents", did],
      retry: false,
      // One of a realm that this person does not see is answered 404, and stays a key here.
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        api.get("/api/v1/agents/{did}", { path: { did }, signal }).catch(() => null),
    })),
    combine: (results) => results.flatMap((one) => one.data ?? []),
  });
}

export function useMembers(realm: string, enabled: boolean) {
  return useQuery({
    queryKey: ["people", "members", realm],
    enabled: enabled && realm !== "",
    retry: false,
    queryFn: ({ signal }) =>
      api.get("/api/v1/realms/{id}/members", { path: { id: realm }, signal }),
  });
}

/** The newest API keys that this person sees: their own, and those they may end. */
export function useMachineKeys() {
  const may = useCan("keys.read");
  return useQuery({
    queryKey: ["people", "machine-keys"],
    enabled: may,
    retry: false,
    queryFn: ({ signal }) => api.get("/api/v1/api-keys", { query: { limit: A_PAGE }, signal }),
  });
}

export function useRoles() {
  return useQuery({
    queryKey: ["people", "roles"],
    staleTime: Infinity,
    queryFn: ({ signal }) => api.get("/api/v1/roles", { signal }),
  });
}

/** Whether the chain's signatures hold and each link is inside the one above, seen by this browser. */
export function useVerified(chain: Chain) {
  const ids = chain.links.map((one) => one.id).join();
  return useQuery({
    queryKey: ["delegations", "verified", ids],
    staleTime: Infinity,
    retry: false,
    queryFn: async ({ signal }): Promise<Verified> => {
      const about = await api.get("/.well-known/writ.json", { signal });
      const { root } = trustedRoot(hubUrl("").href, about.root);
      return verifyLent(
        chain.links.map((one) => one.document),
        root,
      );
    },
  });
}
