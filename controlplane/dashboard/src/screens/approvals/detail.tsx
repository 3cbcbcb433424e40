// One call: exactly what would happen, who asks and why, and who has decided.
import { ArrowUpRight } from "lucide-react";
import type { ReactNode } from "react";
import type { ApprovalView } from "../../api/schema.gen.ts";
import { Fact, Facts, Page, Section } from "../../app/page.tsx";
import { Who } from "../../people/who.tsx";
import { Badge, StateWord } from "../../ui/badge.tsx";
import { ButtonLink } from "../../ui/button.tsx";
import { JsonView } from "../../ui/code.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { asText, Diff } from "../../ui/diff.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, Note, Waiting } from "../../ui/notes.tsx";
import { Ago, Countdown } from "../../ui/time.tsx";
import { Decide } from "./decide.tsx";
import { useApproval, useLastApproved } from "./queue.ts";
import { riskOf } from "./risk.ts";

export function Detail({ id, back = false }: { id: string; back?: boolean }) {
  const found = useApproval(id);
  const title = found.data
    ? `${inert(found.data.tool)} on ${inert(found.data.agentName ?? "an agent")}`
    : "A call";
  const content = found.isPending ? (
    <Waiting lines={8} />
  ) : found.isError ? (
    <Failed error={found.error} onRetry={() => void found.refetch()} />
  ) : (
    <Call approval={found.data} titled={!back} />
  );
  if (!back) return <article aria-label={title}>{content}</article>;
  return (
    <Page title={title} back={{ to: "/approvals", label: "Approvals" }}>
      {content}
    </Page>
  );
}

function Call({ approval, titled }: { approval: ApprovalView; titled: boolean }) {
  return (
    <div className="flex flex-col gap-4">
      {titled && (
        <header className="flex flex-wrap items-center gap-x-3 gap-y-1 pt-1">
          <h2 className="min-w-0 text-lg font-semibold break-all">
            {inert(approval.tool)}
            <span className="font-normal text-muted">{` on ${inert(approval.agentName ?? "an agent")}`}</span>
          </h2>
          <StateWord state={approval.state} />
        </header>
      )}
      <Exactly approval={approval} />
      <Decide approval={approval} />
      <div className="grid gap-4 xl:grid-cols-2">
        <Section
          title="Why it asks"
          actions={
            <ButtonLink
              size="sm"
              look="quiet"
              to={`/orders/${approval.intentId}`}
              icon={ArrowUpRight}
            >
              The order
            </ButtonLink>
          }
        >
          <Reasons approval={approval} />
        </Section>
        <Section title="Who has decided">
          <Decisions approval={approval} />
        </Section>
      </div>
    </div>
  );
}

function Exactly({ approval }: { approval: ApprovalView }) {
  const last = useLastApproved(approval);
  const risk = riskOf(approval.tool);
  const before = last.data ? asText(last.data.arguments) : null;
  const after = asText(approval.arguments);
  let compared: ReactNode = null;
  if (last.isPending) compared = <Waiting lines={2} />;
  else if (last.data === null)
    compared = (
      <Note tone="wait">
        The first {inert(approval.tool)} here that anybody is asked about: there is none to compare.
      </Note>
    );
  else if (last.data && before === after)
    compared = (
      <p className="text-muted">
        The same as what was approved <Ago at={last.data.decidedAt} />.
      </p>
    );
  else if (last.data && before !== null)
    compared = (
      <div className="flex flex-col gap-1.5">
        <h3 className="text-xs font-medium text-muted">
          What differs from the one approved <Ago at={last.data.decidedAt} />
        </h3>
        <Diff before={before} after={after} label="Difference to the last approved call" />
      </div>
    );
  return (
    <Section title="The exact call" actions={<Badge tone={risk.tone}>{risk.word}</Badge>}>
      <div className="flex flex-col gap-3">
        <JsonView value={approval.arguments} label="arguments" />
        {compared}
        <p className="text-xs text-muted">{risk.says}</p>
      </div>
    </Section>
  );
}

function Reasons({ approval }: { approval: ApprovalView }) {
  return (
    <Facts>
      <Fact name="Rule">
        <code className="text-xs break-all">{inert(approval.rule)}</code>
      </Fact>
      <Fact name="Ordered by">
        <Who id={approval.orderedBy} />
      </Fact>
      <Fact name="Agent">
        <Who id={approval.agent} name={approval.agentName} />
      </Fact>
      <Fact name="Realm">{inert(approval.realm)}</Fact>
      <Fact name="Asked">
        <Ago at={approval.requestedAt} />
      </Fact>
      <Fact name={approval.state === "pending" ? "Lapses in" : "Lapsed"}>
        {approval.state === "pending" ? (
          <Countdown to={approval.expiresAt} />
        ) : (
          <Ago at={approval.expiresAt} />
        )}
      </Fact>
      <Fact name="Call digest">
        <CopyField value={approval.callDigest} label="call digest" short />
      </Fact>
    </Facts>
  );
}

function Decisions({ approval }: { approval: ApprovalView }) {
  const { approved, people, decisions, state } = approval;
  return (
    <div className="flex flex-col gap-3">
      <div>
        <p className="font-medium">{`${approved} of ${people} ${people === 1 ? "person has" : "people have"} approved`}</p>
        <div
          role="progressbar"
          aria-label="Approved"
          aria-valuemin={0}
          aria-valuemax={people}
          aria-valuenow={Math.min(approved, people)}
          className="mt-1.5 flex gap-1"
        >
          {Array.from({ length: people }, (_, at) => (
            <span
              // biome-ignore lint/suspicious/noArrayIndexKey: marks have no other name
              key={at}
              className={`h-1.5 flex-1 rounded-full ${at < approved ? "bg-good-mark" : "bg-line-strong"}`}
            />
          ))}
        </div>
      </div>
      {decisions.length > 0 && (
        <ul className="flex flex-col gap-2">
          {decisions.map((one) => (
            <li key={one.id} className="min-w-0">
              <span className="flex flex-wrap items-center gap-x-2">
                <StateWord state={one.approved ? "approved" : "denied"} />
                <Who id={one.approver} />
                <span className="text-xs text-muted">
                  {one.by === "own key" ? "signed with their own key" : "vouched for by the hub"}
                  {" · "}
                  <Ago at={one.at} />
                </span>
              </span>
              {one.reason && <p className="mt-0.5 text-muted break-words">{inert(one.reason)}</p>}
            </li>
          ))}
        </ul>
      )}
      {state === "expired" && (
        <p className="text-muted">Nobody decided in time; it did not happen.</p>
      )}
    </div>
  );
}
