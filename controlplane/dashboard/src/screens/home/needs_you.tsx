// What waits for a person: calls to approve, agents that ask to join, agents that were stopped.
import { useQuery } from "@tanstack/react-query";
import {
  CircleCheck,
  CircleX,
  Gauge,
  GitFork,
  Hand,
  type LucideIcon,
  OctagonPause,
  UserRoundPlus,
  Webhook,
} from "lucide-react";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { useCan } from "../../api/me.ts";
import type { OverviewView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { inert } from "../../ui/inert.ts";
import { Waiting } from "../../ui/notes.tsx";
import { Ago, Countdown } from "../../ui/time.tsx";
import { FAILURES, failuresOf } from "./bars.ts";
import {
  brokenWebhooks,
  newForks,
  overviewOf,
  stoppedAgents,
  waitingApprovals,
  waitingRegistrations,
} from "./queries.ts";

const PER: Record<string, string> = {
  ordersPerHour: "orders in an hour",
  ordersPerDay: "orders in a day",
  tokensPerDay: "tokens in a day",
  centsPerDay: "cents in a day",
};

export function NeedsYou({ overview }: { overview: OverviewView | undefined }) {
  const mayEnrol = useCan("enrolment.read");
  const approvals = useQuery(waitingApprovals);
  const lately = useQuery(overviewOf(1)).data;
  const failures = lately ? failuresOf(lately.orders) : 0;
  const registrations = useQuery({ ...waitingRegistrations, enabled: mayEnrol });
  const stopped = useQuery(stoppedAgents);
  const mayRead = useCan("audit.read");
  const mayMend = useCan("webhooks.write");
  const forks = useQuery({ ...newForks, enabled: mayRead }).data?.items ?? [];
  const broken = useQuery({ ...brokenWebhooks, enabled: mayMend }).data ?? [];
  const asked = approvals.data?.items ?? [];
  const joining = registrations.data?.items ?? [];
  const halted = stopped.data?.items ?? [];
  const known = approvals.data !== undefined && stopped.data !== undefined;
  const near = overview?.nearLimits.nearest ?? [];
  const lists = [forks, asked, joining, halted, near, broken];
  const waiting = lists.reduce((sum, one) => sum + one.length, failures);
  const nothing = known && waiting === 0;
  const more =
    Math.max(0, (overview?.approvals ?? 0) - asked.length) +
    Math.max(0, (overview?.registrations ?? 0) - joining.length) +
    Math.max(0, (overview?.nearLimits.agents ?? 0) - near.length);
  return (
    <Section title="Needs you" flush>
      {nothing ? (
        <p className="flex h-14 items-center gap-2 px-4 text-muted">
          <CircleCheck aria-hidden className="size-4 text-good" />
          Nothing waits for you.
        </p>
      ) : (
        <ul className="min-h-14">
          {!known && (
            <li>
              <Waiting lines={1} />
            </li>
          )}
          {forks.map((one) => (
            <Item
              key={one.hash}
              icon={GitFork}
              to="/audit?kind=audit.fork_reported"
              title="The record has a fork"
              about="Two checkpoints that its log has signed cannot both be true."
              side={<Ago at={one.at} />}
            />
          ))}
          {asked.map((one) => (
            <Item
              key={one.id}
              icon={Hand}
              to={`/approvals/${one.id}`}
              title={
                <>
                  <code className="text-xs font-medium">{inert(one.tool)}</code> on{" "}
                  {inert(one.agentName ?? one.agent)}
                </>
              }
              about={
                <>
                  rule <code className="text-xs">{inert(one.rule)}</code>, {one.approved} of{" "}
                  {one.people} have said yes
                </>
              }
              side={
                <>
                  <span className="max-sm:sr-only">ends in </span>
                  <Countdown to={one.expiresAt} />
                </>
              }
            />
          ))}
          {joining.map((one) => (
            <Item
              key={one.id}
              icon={UserRoundPlus}
              to={`/fleet/requests/${one.id}`}
              title={<>{inert(one.name)} asks to join</>}
              about={<code className="text-xs">{one.fingerprint}</code>}
              side={<Ago at={one.requestedAt} />}
            />
          ))}
          {halted.map((one) => (
            <Item
              key={one.did}
              icon={OctagonPause}
              to={`/fleet/${one.did}`}
              title={<>{inert(one.name)} is quarantined</>}
              about={
                one.quarantine?.reason
                  ? `It refuses all work: ${inert(one.quarantine.reason)}.`
                  : "It refuses all work until an operator releases it."
              }
              side={<Ago at={one.lastSeenAt} />}
            />
          ))}
          {failures > 0 && (
            <Item
              icon={CircleX}
              to={`/orders?state=${FAILURES.join(",")}`}
              title={`${failures.toLocaleString()} ${failures === 1 ? "order has" : "orders have"} failed`}
              about="Failed, timed out, interrupted or expired, of those given in the last hour."
              side="1 h"
            />
          )}
          {near.map((one) => (
            <Item
              key={one.agent}
              icon={Gauge}
              to={`/fleet/${one.agent}/policy`}
              title={
                <>
                  {inert(one.name)} has used {one.used >= one.most ? "up" : "most of"} a limit
                </>
              }
              about={`${one.used.toLocaleString()} of ${one.most.toLocaleString()} ${PER[one.limit] ?? one.limit}`}
              side={`${one.most > 0 ? Math.floor((100 * one.used) / one.most) : 100} %`}
            />
          ))}
          {broken.map((one) => (
            <Item
              key={one.id}
              icon={Webhook}
              to={`/webhooks/${one.id}`}
              title={<>Nothing is sent to {inert(one.url)} any more</>}
              about={
                one.disabledReason === "gone" ? "Its receiver has gone." : "Nothing has arrived."
              }
              side={<Ago at={one.updatedAt} />}
            />
          ))}
          {more > 0 && <li className="px-4 py-2 text-muted">and {more} more</li>}
        </ul>
      )}
    </Section>
  );
}

function Item({
  icon: Icon,
  to,
  title,
  about,
  side,
}: {
  icon: LucideIcon;
  to: string;
  title: ReactNode;
  about: ReactNode;
  side: ReactNode;
}) {
  return (
    <li className="border-line not-first:border-t">
      <Link
        to={to}
        className="flex min-h-14 items-center gap-3 px-4 py-2 -outline-offset-2 hover:bg-hover"
      >
        <Icon aria-hidden className="size-4 shrink-0 text-wait" />
        <span className="min-w-0 flex-1">
          <span className="block truncate font-medium">{title}</span>
          <span className="block truncate text-muted">{about}</span>
        </span>
        <span className="shrink-0 text-xs text-muted">{side}</span>
      </Link>
    </li>
  );
}
