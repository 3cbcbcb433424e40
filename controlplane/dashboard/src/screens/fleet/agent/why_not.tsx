// Why a person cannot sign a release in this browser, and what would change that.
import { RotateCw } from "lucide-react";
import { Link } from "wouter";
import type { AgentView } from "../../../api/schema.gen.ts";
import { CannotSign, OperatorCommand, WhoLends } from "../../../people/lending.tsx";
import { Button } from "../../../ui/button.tsx";
import { inert } from "../../../ui/inert.ts";
import { Note } from "../../../ui/notes.tsx";
import { RELEASE, type Right } from "./right.ts";

interface Props {
  able: boolean;
  /** DID of the key in this browser; null where there is none. */
  did: string | null;
  right: Right | null;
  agent: AgentView;
  checking: boolean;
  onCheck: () => void;
}

export function WhyNot({ able, did, right, agent, checking, onCheck }: Props) {
  if (!able) return <CannotSign />;
  if (did === null || right === null)
    return (
      <Note>
        You have no key in this browser. With one that an operator has lent to, you sign the release
        here.{" "}
        <Link to="/account" className="underline underline-offset-2">
          Make one under your account
        </Link>
      </Note>
    );
  if (right.kind === "ready") return null;
  return (
    <div className="flex flex-col gap-2">
      <Note tone="wait">{missingWords(right)}</Note>
      <p>To have you sign here, whoever holds an operator's key, or the root's, runs this first:</p>
      <OperatorCommand did={did} action={RELEASE} realms={agent.realms} />
      <WhoLends action={RELEASE} />
      <p>
        <Button size="sm" icon={RotateCw} busy={checking} onClick={onCheck}>
          Look again
        </Button>
      </p>
    </div>
  );
}

function missingWords(right: Exclude<Right, { kind: "ready" }>): string {
  if (right.kind === "none")
    return `Your key in this browser was not lent the right to release agents (${RELEASE}).`;
  if (right.kind === "through-hub")
    return `Your key was lent ${RELEASE} through the hub's key, and nothing that passes there releases an agent.`;
  if (right.realms.length === 0)
    return `Your key was lent ${RELEASE} in some realms only, and this agent is in none of them.`;
  const realms = right.realms.map(inert).join(", ");
  return `Your key was lent ${RELEASE} by an operator, but not for this agent in ${realms}.`;
}
