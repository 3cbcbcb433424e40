// One delivery: what was sent, what came back, and sending it once more.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { CircleCheck, CircleX, RotateCcw } from "lucide-react";
import { Link } from "wouter";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { DeliveryView, WebhookView } from "../../api/schema.gen.ts";
import { Fact, Facts } from "../../app/page.tsx";
import { State } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { CodeBlock, JsonView } from "../../ui/code.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { Drawer } from "../../ui/dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { ProblemNote } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { answerOf, useDeliveries, wordOfDelivery } from "./queries.ts";

const TEST = "webhook.test";

export function DeliveryDrawer({
  webhook,
  delivery,
  onChanged,
  onClose,
}: {
  webhook: WebhookView;
  delivery: DeliveryView | null;
  onChanged: (delivery: DeliveryView) => void;
  onClose: () => void;
}) {
  const client = useQueryClient();
  const may = useCan("webhooks.write");
  // What it has become since it was opened, while it stands in the list.
  const newest = useDeliveries(webhook.id, null).items.find((one) => one.id === delivery?.id);
  const shown = delivery && (newest ?? delivery);
  const replay = useMutation({
    mutationFn: (id: string) =>
      api.post("/api/v1/webhooks/{id}/deliveries/{delivery}/replay", {
        path: { id: webhook.id, delivery: id },
      }),
    onSuccess: async (again) => {
      toast("On its way again");
      await client.invalidateQueries({ queryKey: ["webhooks", webhook.id] });
      onChanged(again);
    },
  });
  return (
    <Drawer
      open={shown !== null}
      onOpenChange={(open) => {
        if (!open) {
          replay.reset();
          onClose();
        }
      }}
      title={shown?.type === TEST ? "A test" : inert(shown?.type ?? "Delivery")}
      wide
      {...(shown && may && shown.state !== "pending" && shown.type !== TEST
        ? {
            footer: (
              <Button
                icon={RotateCcw}
                busy={replay.isPending}
                onClick={() => replay.mutate(shown.id)}
              >
                Send it again
              </Button>
            ),
          }
        : {})}
    >
      {shown && (
        <div className="flex flex-col gap-4 pb-4">
          <Outcome delivery={shown} />
          {replay.error && <ProblemNote problem={asProblem(replay.error)} />}
          <DeliveryFacts delivery={shown} />
          {shown.excerpt !== null && shown.excerpt !== "" && (
            <div>
              <h3 className="mb-1 text-xs font-medium text-muted">How its answer begins</h3>
              <CodeBlock text={shown.excerpt} label="answer" />
            </div>
          )}
          <div>
            <h3 className="mb-1 text-xs font-medium text-muted">What is sent</h3>
            <SentBody body={shown.body} />
          </div>
        </div>
      )}
    </Drawer>
  );
}

function Outcome({ delivery }: { delivery: DeliveryView }) {
  const answer = answerOf(delivery);
  if (delivery.state === "pending")
    return (
      <p role="status">
        <State tone="busy" live>
          {answer === null ? "Not tried yet" : `Tried, and again: ${inert(answer)}`}
        </State>
      </p>
    );
  const good = delivery.state === "delivered";
  const Icon = good ? CircleCheck : CircleX;
  return (
    <p
      role="status"
      className={`flex gap-2 rounded-md px-3 py-2 ${good ? "bg-good-ground text-good" : "bg-bad-ground text-bad"}`}
    >
      <Icon aria-hidden className="mt-0.5 size-4 shrink-0" />
      <span>
        <span className="font-medium">{good ? "It arrived:" : "It did not arrive:"}</span>{" "}
        {inert(answer ?? "no answer")}
        {delivery.durationMilliseconds !== null && ` · ${delivery.durationMilliseconds} ms`}
      </span>
    </p>
  );
}

function DeliveryFacts({ delivery }: { delivery: DeliveryView }) {
  const subject = subjectOf(delivery.body);
  return (
    <Facts>
      <Fact name="State">
        <State tone={wordOfDelivery(delivery.state).tone}>
          {wordOfDelivery(delivery.state).word}
        </State>
      </Fact>
      <Fact name="webhook-id">
        <CopyField value={delivery.id} label="webhook-id" />
      </Fact>
      <Fact name="Attempts">{delivery.attempts}</Fact>
      <Fact name="Made">
        <Ago at={delivery.createdAt} />
      </Fact>
      <Fact name="Last attempt">
        <Ago at={delivery.attemptedAt} />
      </Fact>
      {delivery.nextAttemptAt && (
        <Fact name="Next try">
          <Ago at={delivery.nextAttemptAt} />
        </Fact>
      )}
      {subject !== null && (
        <Fact name="About">
          <Link
            to={`/audit?subject=${encodeURIComponent(subject)}`}
            className="font-mono text-xs break-all text-accent-ink underline"
          >
            {inert(subject)}
          </Link>
        </Fact>
      )}
    </Facts>
  );
}

function SentBody({ body }: { body: string }) {
  const value = parse(body);
  return value === undefined ? (
    <CodeBlock text={body} label="body" />
  ) : (
    <JsonView value={value} label="body" />
  );
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function subjectOf(body: string): string | null {
  const event = parse(body) as { data?: { subject?: unknown } } | undefined;
  const subject = event?.data?.subject;
  return typeof subject === "string" && subject !== "" ? subject : null;
}
