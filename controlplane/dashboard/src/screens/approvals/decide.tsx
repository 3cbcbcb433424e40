// Yes or no to one call: never by a stray click. A first press only opens a question; its answer
// stands elsewhere, is not taken in its first moments, and is about exactly the call on the page.

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Check, KeyRound, X } from "lucide-react";
import { useEffect, useState } from "react";
import { api } from "../../api/client.ts";
import { useMe } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { ApprovalView, LentView } from "../../api/schema.gen.ts";
import { useHotkeys } from "../../app/hotkeys.ts";
import { OperatorCommand } from "../../people/lending.tsx";
import { chainFor } from "../../people/lent.ts";
import { type UsableKey, useOwnKey } from "../../people/own_keys.ts";
import { sealDecision } from "../../proof/approvals.ts";
import type { PlainValue } from "../../proof/json.ts";
import { Button } from "../../ui/button.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Field, TextArea } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Note, ProblemNote } from "../../ui/notes.tsx";
import { toast } from "../../ui/toasts.tsx";
import { EnrolKey } from "./enrol_key.tsx";
import { type Way, waysToDecide } from "./ways.ts";

/** So long an answer is not taken after its question came up: no second click of a double one. */
const ARMED_AFTER_MS = 600;

const APPROVE = "writ.approve";
const WORDS: Record<Way, { how: string; says: string }> = {
  "own-key": {
    how: "Signed with your key in this browser",
    says: "The agent checks your signature itself; the hub cannot make or change it.",
  },
  vouched: {
    how: "Vouched for by the hub",
    says: "The hub signs that it was you, after a fresh sign-in.",
  },
};

export function Decide({ approval }: { approval: ApprovalView }) {
  const me = useMe();
  const own = useOwnKey();
  const usable = own.data?.usable ?? null;
  const lent = usable && chainFor(usable.known, APPROVE, [approval.realm], approval.agent);
  const ways = waysToDecide(approval, me, usable && { did: usable.key.did, lent });
  const [asked, setAsked] = useState<boolean | null>(null);
  const pending = approval.state === "pending";
  const may = me.permissions.includes("approvals.decide");
  const way = ways.open[0];
  const mine = approval.decisions.find(
    (one) => one.approver === me.subject || one.approver === usable?.key.did,
  );
  const ready = pending && may && way !== undefined && !own.isPending && mine === undefined;
  useHotkeys(
    ready
      ? [
          { keys: "a", does: "approve this call", run: () => setAsked(true) },
          { keys: "d", does: "deny this call", run: () => setAsked(false) },
        ]
      : [],
  );
  return (
    <section
      aria-label="Your decision"
      className="rounded-lg border border-line bg-surface p-4 max-lg:sticky max-lg:bottom-[calc(3.5rem+env(safe-area-inset-bottom))] max-lg:z-10"
    >
      <div className="flex flex-wrap items-center gap-3">
        <div className="min-w-0 flex-1 basis-64">
          <p className="font-medium">
            {!pending
              ? outcome(approval)
              : mine
                ? `You have approved: ${missingWords(approval.missing)}`
                : headline(way, ways.needsKey)}
          </p>
          {pending && <p className="text-xs text-muted">{ways.accepts}</p>}
        </div>
        {/* The buttons keep their place whatever comes of the call, so that nothing slides under a pointer. */}
        <div className="flex gap-2 max-sm:w-full max-sm:*:flex-1">
          <Button icon={X} disabled={!ready} onClick={() => setAsked(false)}>
            Deny…
          </Button>
          <Button icon={Check} look="primary" disabled={!ready} onClick={() => setAsked(true)}>
            Approve…
          </Button>
        </div>
      </div>
      {pending && !may && <p className="mt-2 text-muted">Your role does not let you decide.</p>}
      {pending && may && !own.isPending && (
        <div className="flex flex-col gap-2 empty:hidden">
          {ways.open.length === 0 &&
            ways.shut.map((why) => (
              <p key={why} className="mt-2 text-muted">
                {why}
              </p>
            ))}
          {ways.needsKey && <EnrolKey able={own.data?.able ?? false} />}
          {ways.needsOperator && usable && (
            <div className="mt-2 flex flex-col gap-1">
              <p className="text-muted">Ask an operator to run this, then decide here:</p>
              <OperatorCommand did={usable.key.did} action={APPROVE} realms={[approval.realm]} />
            </div>
          )}
        </div>
      )}
      {asked !== null && way && (
        <Answer
          approval={approval}
          approve={asked}
          way={way}
          usable={usable}
          lent={lent}
          onClose={() => setAsked(null)}
        />
      )}
    </section>
  );
}

function headline(way: Way | undefined, needsKey: boolean): string {
  if (way) return WORDS[way].how;
  return needsKey ? "You need a key of your own" : "You cannot decide this";
}

const missingWords = (left: number): string =>
  `${left} more ${left === 1 ? "person" : "people"} must approve`;

function outcome({ state, decisions }: ApprovalView): string {
  if (state === "approved") return "Approved: it may happen, once";
  if (state === "denied") return "Denied: it does not happen";
  return decisions.length > 0
    ? "Over before enough people had decided"
    : "Over before anybody decided";
}

interface AnswerProps {
  approval: ApprovalView;
  approve: boolean;
  way: Way;
  usable: UsableKey | null;
  lent: LentView | null;
  onClose: () => void;
}

function Answer({ approval, approve, way, usable, lent, onClose }: AnswerProps) {
  const [reason, setReason] = useState("");
  const armed = useArmed();
  const client = useQueryClient();
  const decide = useMutation<ApprovalView, unknown, string>({
    mutationFn: (why) => send({ approval, approve, way, usable, lent, onClose }, why),
    onSuccess: (decided) => {
      client.setQueryData(["approvals", "one", approval.id], decided);
      void client.invalidateQueries({ queryKey: ["approvals"] });
      const rest = decided.missing > 0 ? `${missingWords(decided.missing)}.` : undefined;
      toast(approve ? "Approved" : "Denied", approve ? rest : "It does not happen.");
      onClose();
    },
    // Somebody else was first, or it lapsed: the page shows what came of it.
    onError: () => void client.invalidateQueries({ queryKey: ["approvals"] }),
  });
  const over = approval.state !== "pending";
  const submit = () => {
    if (armed && !over && !decide.isPending) decide.mutate(reason.trim());
  };
  const verb = approve ? "Approve" : "Deny";
  return (
    <Dialog
      open
      onOpenChange={(open) => open || decide.isPending || onClose()}
      title={`${verb} this call?`}
      description={
        approve
          ? `${inert(approval.tool)} then happens on ${inert(approval.agentName ?? "the agent")}, once, exactly as shown.`
          : "It then never happens, whoever else would approve it."
      }
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look={approve ? "primary" : "danger"}
            icon={way === "own-key" ? KeyRound : approve ? Check : X}
            busy={decide.isPending}
            disabled={!armed || over}
            onClick={submit}
          >
            {way === "own-key" ? `Sign: ${verb.toLowerCase()}` : verb}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-3 pb-2">
        <pre className="max-h-40 overflow-auto rounded-md border border-line bg-sunken p-2 text-xs/5 whitespace-pre-wrap break-all">
          {inert(JSON.stringify(approval.arguments, null, 2))}
        </pre>
        <Field label="Reason" hint="Kept in the record. Ctrl+Enter sends.">
          {(props) => (
            <TextArea
              {...props}
              autoFocus
              rows={2}
              maxLength={1000}
              value={reason}
              onChange={(event) => setReason(event.target.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
                event.preventDefault();
                submit();
              }}
            />
          )}
        </Field>
        <p className="text-xs text-muted">{`${WORDS[way].how}. ${WORDS[way].says}`}</p>
        {over && <Note tone="wait">{`Meanwhile: ${outcome(approval)}.`}</Note>}
        {decide.isError && !over && <ProblemNote problem={asProblem(decide.error)} />}
      </div>
    </Dialog>
  );
}

async function send(
  { approval, approve, way, usable, lent }: AnswerProps,
  reason: string,
): Promise<ApprovalView> {
  const path = { id: approval.id };
  if (way === "own-key" && usable) {
    const document = await sealDecision(
      usable.key,
      {
        requestId: approval.requestId,
        intentId: approval.intentId,
        tool: approval.tool,
        arguments: approval.arguments as PlainValue,
        agent: approval.agent,
        callDigest: approval.callDigest,
        expiresAt: approval.expiresAt,
      },
      { approved: approve, reason, proof: lent?.proof ?? [], now: new Date() },
    );
    return api.post("/api/v1/approvals/{id}/signed", { path, body: { document } });
  }
  const body = { reason };
  return approve
    ? api.post("/api/v1/approvals/{id}/approve", { path, body })
    : api.post("/api/v1/approvals/{id}/reject", { path, body });
}

function useArmed(): boolean {
  const [armed, setArmed] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setArmed(true), ARMED_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  return armed;
}
