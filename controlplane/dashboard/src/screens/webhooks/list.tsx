// Every webhook this person may see, and making a new one.
import { Plus, Webhook } from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { useCan } from "../../api/me.ts";
import type { WebhookView } from "../../api/schema.gen.ts";
import { useHotkeys } from "../../app/hotkeys.ts";
import { Page } from "../../app/page.tsx";
import { State } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { inert } from "../../ui/inert.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { type Column, DataTable } from "../../ui/table.tsx";
import { Ago } from "../../ui/time.tsx";
import { WebhookForm } from "./form.tsx";
import { standingOf, useWebhooks } from "./queries.ts";
import { SecretDialog } from "./secret.tsx";

const COLUMNS: ReadonlyArray<Column<WebhookView>> = [
  {
    key: "url",
    header: "Address",
    width: "minmax(9rem, 3fr)",
    cell: (one) => <span className="font-medium">{inert(one.url)}</span>,
    sort: (one) => one.url,
  },
  {
    key: "state",
    header: "State",
    width: "6.5rem",
    cell: (one) => {
      const { tone, word } = standingOf(one);
      return <State tone={tone}>{word}</State>;
    },
    sort: (one) => standingOf(one).word,
  },
  {
    key: "events",
    header: "Told of",
    width: "minmax(8rem, 2fr)",
    from: "md",
    cell: (one) => <Events patterns={one.events} />,
  },
  {
    key: "realm",
    header: "Realm",
    width: "minmax(5rem, 1fr)",
    from: "sm",
    cell: (one) => <RealmWord realm={one.realm} />,
    sort: (one) => one.realm ?? "",
  },
  {
    key: "description",
    header: "For",
    width: "minmax(6rem, 2fr)",
    from: "lg",
    cell: (one) => <span className="text-muted">{inert(one.description)}</span>,
  },
  {
    key: "created",
    header: "Made",
    width: "5.5rem",
    align: "end",
    from: "sm",
    cell: (one) => <Ago at={one.createdAt} />,
    sort: (one) => one.createdAt,
  },
];

export function Events({ patterns }: { patterns: readonly string[] }) {
  if (patterns.includes("*")) return "everything";
  return <code className="text-xs">{inert(patterns.join(" "))}</code>;
}

export function RealmWord({ realm }: { realm: string | null }) {
  return realm === null ? <span className="text-faint">whole hub</span> : inert(realm);
}

export function WebhookList() {
  const [, go] = useLocation();
  const webhooks = useWebhooks();
  const may = useCan("webhooks.write");
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<WebhookView | null>(null);
  useHotkeys(may ? [{ keys: "n", does: "New webhook", run: () => setMaking(true) }] : []);
  const add = may && (
    <Button look="primary" icon={Plus} onClick={() => setMaking(true)}>
      New webhook
    </Button>
  );
  return (
    <Page
      title="Webhooks"
      about="Addresses that are sent what happens, signed, and again until it has arrived."
      actions={webhooks.items.length > 0 && add}
      flush
    >
      {webhooks.isPending ? (
        <Waiting lines={5} />
      ) : webhooks.isError && !webhooks.data ? (
        <Failed error={webhooks.error} onRetry={() => void webhooks.refetch()} />
      ) : webhooks.items.length === 0 ? (
        <Empty icon={Webhook} title="Nobody is told yet" action={add}>
          A webhook tells another program what happens here: that an order has ended, that a call
          waits for people, that an agent was stopped. It carries ids and facts, never params or
          outputs.
        </Empty>
      ) : (
        <DataTable
          label="Webhooks"
          rows={webhooks.items}
          columns={COLUMNS}
          rowKey={(one) => one.id}
          href={(one) => `/webhooks/${encodeURIComponent(one.id)}`}
          onEnd={webhooks.more}
        />
      )}
      {making && (
        <WebhookForm
          webhook={null}
          onClose={() => setMaking(false)}
          onDone={(one) => {
            setMaking(false);
            setMade(one);
          }}
        />
      )}
      {made?.secret && (
        <SecretDialog
          secret={made.secret}
          title="Its secret, shown this once"
          onClose={() => {
            setMade(null);
            go(`/webhooks/${encodeURIComponent(made.id)}`);
          }}
        />
      )}
    </Page>
  );
}
