// What was sent to a webhook and what waits: newest first, by state, and sent again.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Inbox, RotateCcw } from "lucide-react";
import { useState } from "react";
import { useSearchParams } from "wouter";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import type { DeliveryView, WebhookView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { State } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Choice } from "../../ui/choice.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast, toastProblem } from "../../ui/toasts.tsx";
import {
  answerOf,
  DELIVERY_STATES,
  type DeliveryState,
  useDeliveries,
  wordOfDelivery,
} from "./queries.ts";
import { ReplaySpan } from "./replay_span.tsx";

const COLUMNS: ReadonlyArray<Column<DeliveryView>> = [
  {
    key: "type",
    header: "Event",
    width: "minmax(6rem, 2fr)",
    cell: (one) => <code className="text-xs font-medium">{inert(one.type)}</code>,
  },
  {
    key: "state",
    header: "State",
    width: "5.5rem",
    cell: ({ state }) => {
      const { tone, word } = wordOfDelivery(state);
      return (
        <State tone={tone} live={state === "pending"}>
          {word}
        </State>
      );
    },
  },
  {
    key: "answer",
    header: "Last answer",
    width: "minmax(8rem, 2fr)",
    from: "md",
    cell: (one) => {
      const answer = answerOf(one);
      return answer === null ? <span className="text-faint">none yet</span> : inert(answer);
    },
  },
  {
    key: "attempts",
    header: "Attempts",
    width: "4.5rem",
    align: "end",
    from: "sm",
    cell: (one) => one.attempts,
  },
  {
    key: "next",
    header: "Next try",
    width: "5.5rem",
    align: "end",
    from: "md",
    cell: (one) => <Ago at={one.nextAttemptAt} empty="" />,
  },
  {
    key: "created",
    header: "Made",
    width: "4.5rem",
    align: "end",
    cell: (one) => <Ago at={one.createdAt} />,
  },
];
const SHOWN: ReadonlyArray<readonly [DeliveryState | null, string]> = [
  [null, "All"],
  ["pending", "Waiting"],
  ["delivered", "Arrived"],
  ["dead", "Dead letters"],
];

const isState = (text: string | null): text is DeliveryState =>
  DELIVERY_STATES.some((one) => one === text);

export function Deliveries({
  webhook,
  onOpen,
}: {
  webhook: WebhookView;
  onOpen: (delivery: DeliveryView) => void;
}) {
  const [params, setParams] = useSearchParams();
  const asked = params.get("state");
  const state = isState(asked) ? asked : null;
  const deliveries = useDeliveries(webhook.id, state);
  const may = useCan("webhooks.write");
  return (
    <Section title="Deliveries" flush actions={may && <Replays webhook={webhook} />}>
      <div className="px-3 py-2">
        <Choice
          label="Which deliveries"
          options={SHOWN}
          value={state}
          onChoose={(one) => setParams(one === null ? {} : { state: one }, { replace: true })}
        />
      </div>
      {deliveries.isPending ? (
        <Waiting lines={4} />
      ) : deliveries.isError && !deliveries.data ? (
        <Failed error={deliveries.error} onRetry={() => void deliveries.refetch()} />
      ) : deliveries.items.length === 0 ? (
        <Empty icon={Inbox} title={state === null ? "Nothing was sent yet" : "None is like that"}>
          {state === null &&
            "What it asks for is sent when it happens. A test shows at once whether it arrives."}
        </Empty>
      ) : (
        <DataTable
          label="Deliveries"
          rows={deliveries.items}
          columns={COLUMNS}
          rowKey={(one) => one.id}
          onOpen={onOpen}
          onEnd={deliveries.more}
        />
      )}
    </Section>
  );
}

function Replays({ webhook }: { webhook: WebhookView }) {
  const client = useQueryClient();
  const [span, setSpan] = useState(false);
  const replay = useMutation({
    mutationFn: () => api.post("/api/v1/webhooks/{id}/replay", { path: { id: webhook.id } }),
    onSuccess: ({ replayed }) => {
      void client.invalidateQueries({ queryKey: ["webhooks", webhook.id] });
      toast(`${replayed.toLocaleString()} on their way again`);
    },
    onError: toastProblem,
  });
  const dead = webhook.dead ?? 0;
  return (
    <>
      {dead > 0 && (
        <Button size="sm" icon={RotateCcw} busy={replay.isPending} onClick={() => replay.mutate()}>
          {dead === 1
            ? "Send the dead letter again"
            : `Send ${dead.toLocaleString()} dead letters again`}
        </Button>
      )}
      <Button size="sm" look="quiet" onClick={() => setSpan(true)}>
        Replay a span…
      </Button>
      {span && <ReplaySpan webhook={webhook} onClose={() => setSpan(false)} />}
    </>
  );
}
