// Lifting a quarantine: the hub cannot. A person does whose key here an operator has lent to; else
// the dialog says what is missing, and takes what was signed elsewhere.
import { useState } from "react";
import { asProblem } from "../../../api/problem.ts";
import type { AgentView } from "../../../api/schema.gen.ts";
import { useOwnKey } from "../../../people/own_keys.ts";
import { Dialog } from "../../../ui/dialog.tsx";
import { inert } from "../../../ui/inert.ts";
import { ProblemNote, Waiting } from "../../../ui/notes.tsx";
import { HandIn } from "./hand_in.tsx";
import { rightToRelease } from "./right.ts";
import { SignRelease } from "./sign_release.tsx";
import { WhyNot } from "./why_not.tsx";

interface Props {
  agent: AgentView;
  onClose: () => void;
  onDone: (text: string) => void;
}

export function ReleaseDialog(props: Props) {
  const { agent, onClose } = props;
  const own = useOwnKey();
  const [otherwise, setOtherwise] = useState(false);
  // Kept here: what somebody has pasted is not lost when an operator lends to their key meanwhile.
  const [document, setDocument] = useState("");
  const usable = own.data?.usable ?? null;
  const right = usable && rightToRelease(usable.known, agent);
  if (own.isPending)
    return (
      <Dialog open onOpenChange={onClose} title={`Release ${inert(agent.name)}`}>
        <Waiting lines={3} />
      </Dialog>
    );
  if (usable && right?.kind === "ready" && !otherwise && document === "")
    return (
      <SignRelease
        {...props}
        signer={usable.key}
        proof={right.lent.proof}
        onOtherwise={() => setOtherwise(true)}
      />
    );
  return (
    <HandIn {...props} document={document} onDocument={setDocument}>
      {own.data === undefined ? (
        <ProblemNote problem={asProblem(own.error)} />
      ) : otherwise ? null : (
        <WhyNot
          able={own.data.able}
          did={usable?.key.did ?? null}
          right={right}
          agent={agent}
          checking={own.isFetching}
          onCheck={() => void own.refetch()}
        />
      )}
    </HandIn>
  );
}
