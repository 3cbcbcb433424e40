// What this browser has checked itself about an order, and what came of each check.
import {
  CircleCheck,
  CircleDashed,
  CircleX,
  ShieldCheck,
  ShieldQuestion,
  ShieldX,
} from "lucide-react";
import type { Check, CheckName } from "../../proof/orders.ts";
import { Badge } from "../../ui/badge.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { inert } from "../../ui/inert.ts";
import { Note, Waiting } from "../../ui/notes.tsx";
import type { Proved } from "./queries.ts";

const NAMES: Record<CheckName, string> = {
  order: "The order is as it was signed",
  authority: "Its signer may order this",
  result: "The result is the agent's, to this order",
  approvals: "The people who approved have signed",
  record: "It is in the hub's signed record",
};
const ICONS = { holds: CircleCheck, fails: CircleX, open: CircleDashed } as const;
const LOOKS = { holds: "text-good", fails: "text-bad", open: "text-muted" } as const;
const SAID = { holds: "holds", fails: "fails", open: "not checked" } as const;

export function ProofBadge({
  proved,
  checking,
}: {
  proved: Proved | null | undefined;
  checking: boolean;
}) {
  if (checking) return <Badge>checking…</Badge>;
  if (!proved) return <Badge tone="wait">not checked</Badge>;
  const { proof, otherRoot } = proved;
  if (proof.failed || otherRoot)
    return (
      <Badge tone="bad">
        <ShieldX aria-hidden className="size-3" />
        not verified
      </Badge>
    );
  if (!proof.verified)
    return (
      <Badge tone="wait">
        <ShieldQuestion aria-hidden className="size-3" />
        not verified yet
      </Badge>
    );
  return (
    <Badge tone="good">
      <ShieldCheck aria-hidden className="size-3" />
      verified
    </Badge>
  );
}

export function ProofChecks({
  proved,
  checking,
  error,
}: {
  proved: Proved | null | undefined;
  checking: boolean;
  error: unknown;
}) {
  if (checking) return <Waiting lines={4} />;
  if (error)
    return <Note tone="bad">The proof could not be fetched. Nothing here is verified.</Note>;
  if (!proved)
    return (
      <Note tone="wait">
        This browser cannot check here: it needs Ed25519 and a page over https (or localhost). Use{" "}
        <code>writ verify</code>.
      </Note>
    );
  return (
    <div className="flex flex-col gap-3">
      {proved.otherRoot && (
        <Note tone="bad">
          <p className="font-medium">
            The hub shows another root than the one this browser has seen.
          </p>
          <p>Nothing under it counts. Ask whoever keeps the root whether it was changed:</p>
          <CopyField value={proved.otherRoot} label="the other root" />
        </Note>
      )}
      <ul className="flex flex-col gap-2.5">
        {proved.proof.checks.map((check) => (
          <Line key={check.name} check={check} />
        ))}
      </ul>
      <p className="text-xs text-faint">
        Checked by this browser, from the signed documents, under the root it trusts. No answer of
        the hub is believed.
      </p>
    </div>
  );
}

function Line({ check }: { check: Check }) {
  const Icon = ICONS[check.state];
  return (
    <li className="flex gap-2">
      <Icon aria-hidden className={`mt-0.5 size-4 shrink-0 ${LOOKS[check.state]}`} />
      <div className="min-w-0">
        <p className="font-medium">
          {NAMES[check.name]}
          <span className="sr-only">{`: ${SAID[check.state]}`}</span>
        </p>
        <p className={`text-xs break-words ${check.state === "fails" ? "text-bad" : "text-muted"}`}>
          {check.code && <code className="mr-1">{check.code}</code>}
          {inert(check.says)}
        </p>
      </div>
    </li>
  );
}
