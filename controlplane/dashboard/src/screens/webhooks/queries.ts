// Webhooks and deliveries as the hub tells of them, and the words for what became of them.
import { queryOptions, useQuery } from "@tanstack/react-query";
import { api } from "../../api/client.ts";
import { usePages } from "../../api/pages.ts";
import type { DeliveryView, WebhookView } from "../../api/schema.gen.ts";
import type { Tone } from "../../ui/badge.tsx";

/** No event tells of an attempt: what is looked at is asked for anew this often. */
const LOOK_AGAIN_MS = 3_000;
export const DELIVERIES_A_PAGE = 50;
export const DELIVERY_STATES = ["pending", "delivered", "dead"] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export function useWebhooks() {
  return usePages<WebhookView>(
    ["webhooks", "list"],
    ({ limit, cursor }, signal) =>
      api.get("/api/v1/webhooks", { query: { limit, cursor }, signal }),
    { againMs: LOOK_AGAIN_MS * 2 },
  );
}

export function useWebhook(id: string) {
  return useQuery({
    queryKey: ["webhooks", id],
    refetchInterval: LOOK_AGAIN_MS,
    queryFn: ({ signal }) => api.get("/api/v1/webhooks/{id}", { path: { id }, signal }),
  });
}

export function useDeliveries(id: string, state: DeliveryState | null) {
  return usePages<DeliveryView>(
    ["webhooks", id, "deliveries", state],
    ({ limit, cursor }, signal) =>
      api.get("/api/v1/webhooks/{id}/deliveries", {
        path: { id },
        query: { limit, cursor, ...(state === null ? {} : { state }) },
        signal,
      }),
    { limit: DELIVERIES_A_PAGE, againMs: LOOK_AGAIN_MS },
  );
}

export const eventKinds = queryOptions({
  queryKey: ["webhooks", "events"],
  staleTime: Number.POSITIVE_INFINITY,
  queryFn: ({ signal }) => api.get("/api/v1/webhook-events", { signal }),
});

interface Standing {
  tone: Tone;
  word: string;
  /** What it means, and what to do; null while all is well. */
  says: string | null;
}

const WHY_DISABLED: Record<string, string> = {
  failing: "Nothing has arrived there for so long that the hub has stopped sending.",
  gone: "The receiver has answered 410: it does not want to be told any more.",
};

/** How a webhook does, in a word and a sentence. */
export function standingOf(webhook: WebhookView, now = Date.now()): Standing {
  if (webhook.state !== "enabled") {
    const why = WHY_DISABLED[webhook.disabledReason ?? ""];
    if (why === undefined)
      return { tone: "idle", word: "paused", says: "Somebody has paused it. Nothing is sent." };
    return { tone: "bad", word: "stopped", says: why };
  }
  if (webhook.pausedUntil && Date.parse(webhook.pausedUntil) > now)
    return { tone: "wait", word: "held back", says: "The receiver has asked for time." };
  if (webhook.failingSince)
    return { tone: "bad", word: "failing", says: "What is sent there does not arrive." };
  return { tone: "good", word: "sending", says: null };
}

export const DELIVERY_WORDS: Record<DeliveryState, { tone: Tone; word: string }> = {
  pending: { tone: "busy", word: "waiting" },
  delivered: { tone: "good", word: "arrived" },
  dead: { tone: "bad", word: "dead letter" },
};

export function wordOfDelivery(state: string): { tone: Tone; word: string } {
  return DELIVERY_WORDS[state as DeliveryState] ?? { tone: "idle", word: state };
}

const FAILURES: Record<string, string> = {
  timed_out: "no answer in time",
  connection_failed: "nobody answers at that address",
  tls_failed: "its certificate does not hold",
  bad_response: "what came back is no HTTP answer",
  secret_unreadable: "the hub cannot open the secret: make a new one",
  bad_url: "the address can not be read",
  internal: "a fault in the hub",
};

/** What the last attempt came to, in a few words; null before the first. */
export function answerOf({ status, error }: DeliveryView): string | null {
  if (error !== null) return FAILURES[error] ?? error.replaceAll("_", " ");
  return status === null ? null : `HTTP ${status}`;
}
