// One webhook: how it does, what can be done with it, and what was sent to it.
import { useState } from "react";
import { useLocation } from "wouter";
import type { DeliveryView, WebhookView } from "../../api/schema.gen.ts";
import { Fact, Facts, Page, Section } from "../../app/page.tsx";
import { UnloadedPage } from "../../app/unloaded_page.tsx";
import { Who } from "../../people/who.tsx";
import { State } from "../../ui/badge.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { inert } from "../../ui/inert.ts";
import { Note } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { WebhookActions } from "./actions.tsx";
import { Deliveries } from "./deliveries.tsx";
import { DeliveryDrawer } from "./delivery.tsx";
import { Events, RealmWord } from "./list.tsx";
import { standingOf, useWebhook } from "./queries.ts";

/** The host alone: the rest of an address may be long, and stands below. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}

const BACK = { to: "/webhooks", label: "Webhooks" };

export function WebhookPage({ id }: { id: string }) {
  const [, go] = useLocation();
  const webhook = useWebhook(id);
  const [open, setOpen] = useState<DeliveryView | null>(null);
  if (!webhook.data) return <UnloadedPage title="Webhook" back={BACK} query={webhook} />;
  const seen = webhook.data;
  const { tone, word } = standingOf(seen);
  return (
    <Page
      title={inert(hostOf(seen.url))}
      back={BACK}
      about={
        <span className="inline-flex flex-wrap items-center gap-x-3">
          <State tone={tone}>{word}</State>
          <span>{inert(seen.description)}</span>
        </span>
      }
      actions={<WebhookActions webhook={seen} onTested={setOpen} onGone={() => go("/webhooks")} />}
    >
      <div className="flex flex-col gap-4">
        <Trouble webhook={seen} />
        <Section title="What it is">
          <div className="grid gap-x-8 gap-y-4 lg:grid-cols-2">
            <Facts>
              <Fact name="Address">
                <CopyField value={inert(seen.url)} label="address" />
              </Fact>
              <Fact name="Told of">
                <Events patterns={seen.events} />
              </Fact>
              <Fact name="Of">
                <RealmWord realm={seen.realm} />
              </Fact>
            </Facts>
            <Facts>
              <Fact name="Waiting">
                <span className="tabular">{(seen.pending ?? 0).toLocaleString()}</span>
              </Fact>
              <Fact name="Dead letters">
                <span className="tabular">{(seen.dead ?? 0).toLocaleString()}</span>
              </Fact>
              <Fact name="Made">
                <Ago at={seen.createdAt} /> by <Who id={seen.createdBy} />
              </Fact>
              {seen.previousSecretUntil && Date.parse(seen.previousSecretUntil) > Date.now() && (
                <Fact name="Old secret">
                  signs too, until <Ago at={seen.previousSecretUntil} />
                </Fact>
              )}
            </Facts>
          </div>
        </Section>
        <Deliveries webhook={seen} onOpen={setOpen} />
      </div>
      <DeliveryDrawer
        webhook={seen}
        delivery={open}
        onChanged={setOpen}
        onClose={() => setOpen(null)}
      />
    </Page>
  );
}

function Trouble({ webhook }: { webhook: WebhookView }) {
  const { tone, says } = standingOf(webhook);
  if (says === null) return null;
  return (
    <Note tone={tone === "bad" ? "bad" : "wait"}>
      {says}
      {webhook.state === "enabled" && webhook.failingSince && (
        <>
          {" "}
          It began <Ago at={webhook.failingSince} />. What waits is tried again by itself, with
          growing pauses.
        </>
      )}
      {webhook.state === "enabled" && webhook.pausedUntil && (
        <>
          {" "}
          Sending goes on <Ago at={webhook.pausedUntil} />.
        </>
      )}
      {webhook.state !== "enabled" && " Resumed, it can be told first of what it has missed."}
    </Note>
  );
}
