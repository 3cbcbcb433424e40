// What the agent was lent, and what it lends to others.
import { useQuery } from "@tanstack/react-query";
import type { AgentView, DelegationView } from "../../../api/schema.gen.ts";
import { Section } from "../../../app/page.tsx";
import { Badge } from "../../../ui/badge.tsx";
import { CopyField } from "../../../ui/copy.tsx";
import { inert } from "../../../ui/inert.ts";
import { Failed, Waiting } from "../../../ui/notes.tsx";
import { isObject } from "../../../ui/schema.ts";
import { Ago } from "../../../ui/time.tsx";
import { delegationsBy, delegationsTo } from "../queries.ts";

export function AgentDelegations({ agent }: { agent: AgentView }) {
  const lent = useQuery(delegationsTo(agent.did));
  const lends = useQuery(delegationsBy(agent.did));
  const error = lent.error ?? lends.error;
  if (error && (!lent.data || !lends.data))
    return (
      <Failed error={error} onRetry={() => void Promise.all([lent.refetch(), lends.refetch()])} />
    );
  return (
    <div className="grid items-start gap-4 lg:grid-cols-2">
      <Section title="Lent to it" flush>
        <List
          items={lent.data?.items}
          other={(one) => one.issuer}
          empty="Nobody has lent it anything."
        />
      </Section>
      <Section title="Lent by it" flush>
        <List items={lends.data?.items} other={(one) => one.subject} empty="It lends nothing on." />
      </Section>
    </div>
  );
}

function List({
  items,
  other,
  empty,
}: {
  items: readonly DelegationView[] | undefined;
  other: (one: DelegationView) => string;
  empty: string;
}) {
  if (items === undefined) return <Waiting lines={3} />;
  if (items.length === 0) return <p className="p-4 text-muted">{empty}</p>;
  return (
    <ul>
      {items.map((one) => (
        <li key={one.id} className="flex flex-col gap-1 border-line px-4 py-2.5 not-first:border-t">
          <span className="flex flex-wrap items-center gap-2">
            <code className="text-xs font-medium">{inert(actionsOf(one))}</code>
            {one.revokedAt ? (
              <Badge tone="bad">revoked</Badge>
            ) : (
              Date.parse(one.expiresAt) < Date.now() && <Badge>expired</Badge>
            )}
          </span>
          <span className="flex flex-wrap items-center gap-x-3 text-muted">
            <CopyField value={other(one)} label="DID" short />
            <span>
              until <Ago at={one.expiresAt} />
            </span>
          </span>
        </li>
      ))}
    </ul>
  );
}

function actionsOf(one: DelegationView): string {
  return one.capabilities
    .flatMap((item: unknown) => {
      if (!isObject(item)) return [];
      const { actions } = item;
      return Array.isArray(actions) ? actions.map(String) : [String(item.action ?? "")];
    })
    .join("  ");
}
