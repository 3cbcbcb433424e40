// What an event makes stale. Every query key begins with a resource's name; an event's type begins
// with what it is about. One table joins the two, so that no screen has to listen by itself.
import { QueryClient as Client, type QueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useSyncExternalStore } from "react";
import type { HubEvent } from "./event_stream.ts";
import { live } from "./live.ts";
import { Problem } from "./problem.ts";

/** First part of a query key. A new resource is one word here and one line below. */
export type Resource =
  | "overview"
  | "agents"
  | "registrations"
  | "join-tokens"
  | "intents"
  | "approvals"
  | "policies"
  | "delegations"
  | "audit"
  | "files"
  | "webhooks"
  | "notifications"
  | "people"
  | "settings"
  | "me";

const STALE: ReadonlyArray<readonly [prefix: string, resources: readonly Resource[]]> = [
  ["intent.progress", []],
  ["intent.", ["intents", "overview", "audit"]],
  ["approval.", ["approvals", "intents", "overview", "audit"]],
  ["registration.", ["registrations", "join-tokens", "agents", "overview", "audit"]],
  ["agent.", ["agents", "overview", "audit"]],
  ["document.", ["policies", "agents", "delegations"]],
  ["policy.", ["policies", "agents", "audit"]],
  // What was lent to the keys of whoever looks at the page, too.
  ["delegation.", ["delegations", "me", "audit"]],
  ["file.", ["files"]],
  ["webhook.", ["webhooks", "audit"]],
  ["audit.", ["audit"]],
  ["notification.", ["notifications"]],
];
const GATHER_MS = 250;
/** The hub keeps its counts for two seconds: asked sooner, it would answer with those before. */
const KEPT_BY_HUB_MS = 2_200;
const FRESH_MS = 30_000;

export function staleAfter(type: string): readonly Resource[] {
  return STALE.find(([prefix]) => type.startsWith(prefix))?.[1] ?? [];
}

export function makeQueryClient(): Client {
  return new Client({
    defaultOptions: {
      queries: {
        staleTime: FRESH_MS,
        // The hub may be on this very machine, whatever the browser thinks of the network.
        networkMode: "always",
        retry: (count, error) =>
          count < 2 && error instanceof Problem && (error.status === 0 || error.status >= 502),
      },
      mutations: { networkMode: "always", retry: false },
    },
  });
}

/** Marks resources stale in one go: the first at once, a burst behind it once a moment. */
class Gatherer {
  readonly #client: QueryClient;
  readonly #everyMs: number;
  readonly #atOnce: boolean;
  #stale = new Set<Resource>();
  /** Told of while others waited: what the hub then gives may be from before that. */
  #again = new Set<Resource>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(client: QueryClient, everyMs: number, atOnce: boolean) {
    this.#client = client;
    this.#everyMs = everyMs;
    this.#atOnce = atOnce;
  }

  add(resource: Resource): void {
    this.#stale.add(resource);
    if (this.#timer !== null) {
      if (!this.#atOnce) this.#again.add(resource);
      return;
    }
    if (this.#atOnce) queueMicrotask(() => this.#flush());
    this.#wait();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #wait(): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#stale.size === 0) return;
      this.#flush();
      this.#wait();
    }, this.#everyMs);
  }

  #flush(): void {
    for (const resource of this.#stale)
      void this.#client.invalidateQueries({ queryKey: [resource] });
    this.#stale = this.#again;
    this.#again = new Set();
  }
}

/** Have what is cached follow the stream, until the returned function is called. */
export function follow(client: QueryClient): () => void {
  const soon = new Gatherer(client, GATHER_MS, true);
  const later = new Gatherer(client, KEPT_BY_HUB_MS, false);
  const offEvent = live.onEvent((event) => {
    for (const resource of staleAfter(event.type))
      (resource === "overview" ? later : soon).add(resource);
  });
  const offResumed = live.onResumed(() => {
    void client.invalidateQueries({ predicate: (query) => query.state.dataUpdatedAt > 0 });
  });
  return () => {
    offEvent();
    offResumed();
    soon.stop();
    later.stop();
  };
}

export function useLiveState() {
  return useSyncExternalStore(live.subscribe, live.snapshot);
}

/** Call `reader` with each event whose type begins with `prefix`, while the component is shown. */
export function useEvents(prefix: string, reader: (event: HubEvent) => void): void {
  const newest = useRef(reader);
  useEffect(() => {
    newest.current = reader;
  });
  useEffect(
    () =>
      live.onEvent((event) => {
        if (event.type.startsWith(prefix)) newest.current(event);
      }),
    [prefix],
  );
}
