// Releasing an agent with a key that is not in this browser: the command, or what was signed by it.
import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api } from "../../../api/client.ts";
import type { AgentView } from "../../../api/schema.gen.ts";
import { CopyField } from "../../../ui/copy.tsx";
import { CodeField } from "../../../ui/field.tsx";
import { FormDialog } from "../../../ui/form_dialog.tsx";
import { inert } from "../../../ui/inert.ts";
import { ReleasedMeanwhile, toldWords } from "./quarantine_note.tsx";

interface Props {
  agent: AgentView;
  document: string;
  onDocument: (text: string) => void;
  /** Why it cannot be signed here. */
  children: ReactNode;
  onClose: () => void;
  onDone: (text: string) => void;
}

export function HandIn({ agent, document, onDocument, children, onClose, onDone }: Props) {
  const release = useMutation({
    mutationFn: () =>
      api.post("/api/v1/agents/{did}/release", {
        path: { did: agent.did },
        body: { document: document.trim() },
      }),
    onSuccess: () => onDone(toldWords(agent)),
  });
  const over = release.isIdle && agent.state !== "quarantined";
  return (
    <FormDialog
      title={`Release ${inert(agent.name)}`}
      description="The agent believes only an operator or the root: a hub that was taken over must not be able to let a stopped agent go."
      dismissible={document === ""}
      verb="Hand it in"
      cancel="Close"
      sending={release}
      ready={document.trim() !== "" && !over}
      onClose={onClose}
    >
      {over ? <ReleasedMeanwhile /> : children}
      <div className="flex flex-col gap-1.5">
        <p>
          Without this browser: whoever holds an operator's key file runs this, and it is released
          at once.
        </p>
        <CopyField
          value={`writ agents release ${agent.name} --sign OPERATOR-KEY.pem`}
          label="command"
          block
        />
      </div>
      <CodeField
        label="Or the document, signed where no hub is reached"
        hint="One line of JSON, as it was signed."
        rows={4}
        value={document}
        onChange={onDocument}
      />
    </FormDialog>
  );
}
