// The queue of calls that wait for people, and the one that is being looked at beside it.
import { Stamp } from "lucide-react";
import { useEffect, useState } from "react";
import { Link, useLocation, useRoute } from "wouter";
import type { ApprovalView } from "../../api/schema.gen.ts";
import { useHotkeys } from "../../app/hotkeys.ts";
import { Page } from "../../app/page.tsx";
import { Badge, StateWord } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { classes } from "../../ui/classes.ts";
import { inert } from "../../ui/inert.ts";
import { useMedia, WIDTHS } from "../../ui/media.ts";
import { Empty, Failed, Waiting } from "../../ui/notes.tsx";
import { Ago, Countdown } from "../../ui/time.tsx";
import { Detail } from "./detail.tsx";
import { useDecided, useWaiting } from "./queue.ts";
import { riskOf } from "./risk.ts";

type Tab = "waiting" | "decided";

export default function Approvals() {
  const [, params] = useRoute("/approvals/:id");
  const id = params?.id ?? null;
  const wide = useMedia(`(min-width: ${WIDTHS.lg}px)`);
  const [tab, setTab] = useState<Tab>("waiting");
  // On a phone one thing at a time: the list, or the call.
  if (!wide && id !== null) return <Detail key={id} id={id} back />;
  return (
    <Page
      title="Approvals"
      about="Calls that wait until somebody has looked at them."
      actions={<Tabs tab={tab} onTab={setTab} />}
      flush
    >
      <div className="grid items-start gap-4 lg:grid-cols-[22rem_minmax(0,1fr)]">
        {tab === "waiting" ? <WaitingList chosen={id} /> : <DecidedList chosen={id} />}
        {wide && (
          <div className="min-w-0">{id === null ? <Choose /> : <Detail key={id} id={id} />}</div>
        )}
      </div>
    </Page>
  );
}

function Tabs({ tab, onTab }: { tab: Tab; onTab: (tab: Tab) => void }) {
  return (
    <fieldset className="flex gap-1">
      <legend className="sr-only">Which</legend>
      {(["waiting", "decided"] as const).map((one) => (
        <Button
          key={one}
          size="sm"
          look={one === tab ? "plain" : "quiet"}
          aria-pressed={one === tab}
          onClick={() => onTab(one)}
        >
          {one === "waiting" ? "Waiting" : "Decided"}
        </Button>
      ))}
    </fieldset>
  );
}

function Choose() {
  return (
    <div className="rounded-lg border border-dashed border-line">
      <Empty icon={Stamp} title="Choose a call">
        <p>Its exact arguments, who asks and what differs from the last one are shown here.</p>
      </Empty>
    </div>
  );
}

function WaitingList({ chosen }: { chosen: string | null }) {
  const waiting = useWaiting();
  const items = waiting.data ?? [];
  useMoving(items, chosen);
  useTitleCount(items.length);
  if (waiting.isPending) return <Waiting lines={4} />;
  if (waiting.isError)
    return <Failed error={waiting.error} onRetry={() => void waiting.refetch()} />;
  if (items.length === 0)
    return (
      <Empty icon={Stamp} title="Nothing waits for you">
        <p>
          A rule with <code>approval</code> holds an order until people have decided. What asks
          appears here at once.
        </p>
      </Empty>
    );
  return <Rows label="Waiting" items={items} chosen={chosen} />;
}

function DecidedList({ chosen }: { chosen: string | null }) {
  const decided = useDecided();
  useMoving(decided.items, chosen);
  if (decided.isPending) return <Waiting lines={4} />;
  if (decided.isError)
    return <Failed error={decided.error} onRetry={() => void decided.refetch()} />;
  if (decided.items.length === 0) return <Empty icon={Stamp} title="Nothing was decided yet" />;
  return (
    <div>
      <Rows label="Decided" items={decided.items} chosen={chosen} />
      {decided.more && (
        <div className="p-3 text-center">
          <Button size="sm" onClick={decided.more} busy={decided.isFetchingNextPage}>
            Earlier ones
          </Button>
        </div>
      )}
    </div>
  );
}

function Rows({
  label,
  items,
  chosen,
}: {
  label: string;
  items: readonly ApprovalView[];
  chosen: string | null;
}) {
  return (
    <ul aria-label={label} className="flex flex-col border-y border-line sm:rounded-lg sm:border">
      {items.map((one) => (
        <li key={one.id} className="border-b border-line last:border-b-0">
          <Row approval={one} here={one.id === chosen} />
        </li>
      ))}
    </ul>
  );
}

function Row({ approval, here }: { approval: ApprovalView; here: boolean }) {
  const risk = riskOf(approval.tool);
  return (
    <Link
      to={`/approvals/${approval.id}`}
      aria-current={here || undefined}
      className={classes(
        "flex min-h-16 flex-col justify-center gap-1 px-4 py-2",
        here ? "bg-chosen" : "hover:bg-hover",
      )}
    >
      <span className="flex items-baseline justify-between gap-3">
        <span className="min-w-0 truncate font-medium">
          {inert(approval.tool)}
          <span className="font-normal text-muted">{` on ${inert(approval.agentName ?? "an agent")}`}</span>
        </span>
        <span className="shrink-0 text-xs text-muted">
          {approval.state === "pending" ? (
            <Countdown to={approval.expiresAt} />
          ) : (
            <Ago at={approval.decidedAt ?? approval.expiresAt} />
          )}
        </span>
      </span>
      <span className="flex items-center gap-2 text-xs text-muted">
        {approval.state === "pending" ? (
          <span className="shrink-0">
            <Badge tone={risk.tone}>{risk.word}</Badge>
          </span>
        ) : (
          <StateWord state={approval.state} />
        )}
        <span className="truncate">{inert(oneLine(approval.arguments))}</span>
        {approval.people > 1 && (
          <span className="tabular ml-auto shrink-0">{`${approval.approved} of ${approval.people}`}</span>
        )}
      </span>
    </Link>
  );
}

function oneLine(value: unknown): string {
  return JSON.stringify(value).slice(0, 200);
}

/** `j` and `k` go through the list; what is open stays open until somebody moves. */
function useMoving(items: readonly ApprovalView[], chosen: string | null): void {
  const [, go] = useLocation();
  const at = items.findIndex((one) => one.id === chosen);
  const move = (step: number) => {
    const next = items[at === -1 ? (step > 0 ? 0 : items.length - 1) : at + step];
    if (next) go(`/approvals/${next.id}`);
  };
  useHotkeys([
    { keys: "j", does: "next call", run: () => move(1) },
    { keys: "k", does: "previous call", run: () => move(-1) },
  ]);
}

/** Somebody looks at another tab: its title tells that something waits. */
function useTitleCount(count: number): void {
  useEffect(() => {
    document.title = `${count > 0 ? `(${count}) ` : ""}Approvals · Writ`;
  }, [count]);
}
