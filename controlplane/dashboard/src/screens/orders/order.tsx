// One order: where it stands, what the agent reports, its result, and what this browser could prove.

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Copy, X } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { api, hubUrl } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { IntentView } from "../../api/schema.gen.ts";
import { Fact, Facts, Page, Section } from "../../app/page.tsx";
import { Who } from "../../people/who.tsx";
import { plainOf } from "../../proof/json.ts";
import { StateWord } from "../../ui/badge.tsx";
import { Button, ButtonLink } from "../../ui/button.tsx";
import { CodeBlock, JsonView } from "../../ui/code.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, Note, Waiting } from "../../ui/notes.tsx";
import { Ago, Countdown } from "../../ui/time.tsx";
import { ProofBadge, ProofChecks } from "./proof.tsx";
import { isOpen, type Proved, type Report, useOrder, useProof, useReports } from "./queries.ts";

export function OrderPage({ id }: { id: string }) {
  const found = useOrder(id);
  const order = found.data;
  const title = order ? `${inert(order.action)} on ${inert(order.agentName)}` : "Order";
  return (
    <Page
      title={title}
      back={{ to: "/orders", label: "Orders" }}
      actions={order && <Actions order={order} />}
    >
      {found.isPending ? (
        <Waiting lines={8} />
      ) : found.isError ? (
        <Failed error={found.error} onRetry={() => void found.refetch()} />
      ) : (
        <Order order={found.data} />
      )}
    </Page>
  );
}

function Actions({ order }: { order: IntentView }) {
  const [asking, setAsking] = useState(false);
  const client = useQueryClient();
  const may = useCan("intents.submit");
  const cancel = useMutation({
    mutationFn: (reason: string) =>
      api.post("/api/v1/intents/{id}/cancel", { path: { id: order.id }, body: { reason } }),
    onSuccess: () => {
      setAsking(false);
      void client.invalidateQueries({ queryKey: ["intents"] });
    },
  });
  const over = !isOpen(order.state) || order.cancelRequested;
  return (
    <>
      {may && (
        <ButtonLink to={`/orders/new?from=${order.id}`} icon={Copy}>
          Repeat…
        </ButtonLink>
      )}
      <Button icon={X} disabled={over} onClick={() => setAsking(true)}>
        {order.cancelRequested && isOpen(order.state) ? "Cancelling…" : "Cancel…"}
      </Button>
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        title="Cancel this order?"
        verb="Cancel the order"
        danger
        reason
        busy={cancel.isPending}
        problem={cancel.isError ? asProblem(cancel.error) : null}
        onConfirm={(reason) => cancel.mutate(reason)}
      >
        <p>What the agent has done already stays done. It says itself how the order ended.</p>
      </Confirm>
    </>
  );
}

function Order({ order }: { order: IntentView }) {
  const proved = useProof(order);
  const reports = useReports(order.id);
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(18rem,2fr)]">
      <div className="flex min-w-0 flex-col gap-4">
        <Section
          title="Result"
          actions={<ProofBadge proved={proved.data} checking={proved.isLoading} />}
        >
          <Result order={order} proved={proved.data ?? null} />
        </Section>
        {(reports.length > 0 || isOpen(order.state)) && (
          <Section title="What the agent reports">
            <Reports reports={reports} open={isOpen(order.state)} />
          </Section>
        )}
        <Section title="What was ordered">
          <JsonView value={order.params} label="parameters" />
        </Section>
      </div>
      <div className="flex min-w-0 flex-col gap-4">
        <Section title="Proof">
          <ProofChecks proved={proved.data} checking={proved.isLoading} error={proved.error} />
        </Section>
        <Section title="About">
          <About order={order} />
        </Section>
      </div>
    </div>
  );
}

function Result({ order, proved }: { order: IntentView; proved: Proved | null }) {
  const signed = proved?.proof.result ?? null;
  if (isOpen(order.state))
    return (
      <p className="flex items-center gap-3 text-muted">
        <StateWord state={order.state} />
        {order.cancelRequested
          ? "The agent was told to stop; it has not said yet how it ended."
          : "There is no result yet. This page shows it when it comes."}
      </p>
    );
  // What the agent signed is shown, not what the hub says beside it; they differ only where it lies.
  const output = signed
    ? signed.output === undefined
      ? null
      : plainOf(signed.output)
    : order.result?.output;
  const error = signed ? signed.error : order.result?.error;
  const status = signed?.status ?? order.state;
  return (
    <div className="flex flex-col gap-3">
      <p className="flex flex-wrap items-center gap-3">
        <StateWord state={status} />
        <span className="text-muted">
          <Ago at={signed?.finishedAt ?? order.finishedAt} />
        </span>
      </p>
      {proved?.proof.failed && (
        <Note tone="bad">
          <p className="font-medium">Not verified: do not rely on what is shown here.</p>
          <p>What fails is named under “Proof”.</p>
        </Note>
      )}
      {error && (
        <p className="break-words">
          <code className="text-xs">{inert(error.code)}</code> {inert(error.message)}
        </p>
      )}
      <Output value={output} />
      {order.files?.map((file) => (
        <a
          key={file.id}
          className="text-accent-ink underline"
          href={hubUrl(file.content).href}
          download
        >
          {`The output as a file, ${file.bytes.toLocaleString()} bytes`}
        </a>
      ))}
    </div>
  );
}

/** The parts of an output that are text of several lines, as text; everything as JSON. */
function Output({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <p className="text-muted">No output.</p>;
  const texts =
    typeof value === "object" && !Array.isArray(value)
      ? Object.entries(value).filter(
          (pair): pair is [string, string] => typeof pair[1] === "string" && pair[1].includes("\n"),
        )
      : [];
  return (
    <>
      {texts.map(([name, text]) => (
        <CodeBlock key={name} text={text} label={inert(name)} />
      ))}
      <JsonView value={value} label="output" />
    </>
  );
}

const SHOWN_REPORTS = 500;

function Reports({ reports, open }: { reports: readonly Report[]; open: boolean }) {
  if (reports.length === 0)
    return <p className="text-muted">{open ? "Nothing yet." : "Nothing."}</p>;
  const left = reports.length - SHOWN_REPORTS;
  return (
    <>
      {left > 0 && (
        <p className="mb-1 text-xs text-muted">{`${left} earlier ones are not shown.`}</p>
      )}
      <ol tabIndex={0} aria-label="Reports" className="max-h-96 overflow-auto font-mono text-xs/5">
        {reports.slice(-SHOWN_REPORTS).map((one) => (
          <li key={one.index} className="flex gap-3">
            <span className="w-14 shrink-0 text-faint">{inert(one.kind)}</span>
            <span className="min-w-0 break-words whitespace-pre-wrap">
              {inert(typeof one.data === "string" ? one.data : JSON.stringify(one.data))}
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}

function About({ order }: { order: IntentView }) {
  return (
    <Facts>
      <Fact name="State">
        <StateWord state={order.state} />
      </Fact>
      <Fact name="Agent">
        <Who id={order.agent} name={order.agentName} />
      </Fact>
      <Fact name="Given by">
        <Who id={order.submittedBy} />
      </Fact>
      <Fact name="Realm">{inert(order.realm)}</Fact>
      <Fact name="Given">
        <Ago at={order.createdAt} />
      </Fact>
      {order.startedAt && (
        <Fact name="Started">
          <Ago at={order.startedAt} />
        </Fact>
      )}
      {isOpen(order.state) && (
        <Fact name="Lapses in">
          <Countdown to={order.expiresAt} />
        </Fact>
      )}
      <Fact name="Time to work">{`${order.timeoutSeconds} s`}</Fact>
      <Fact name="Order">
        <CopyField value={order.id} label="the order's id" short />
      </Fact>
      <Fact name="Batch">
        <Link className="text-accent-ink underline" to={`/orders?batchId=${order.batchId}`}>
          Orders given together
        </Link>
      </Fact>
    </Facts>
  );
}
