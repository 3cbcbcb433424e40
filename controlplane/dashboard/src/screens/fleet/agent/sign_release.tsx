// Releasing an agent with the key in this browser: signed over the quarantine that was looked at.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { api } from "../../../api/client.ts";
import type { AgentView } from "../../../api/schema.gen.ts";
import { Who } from "../../../people/who.tsx";
import type { OwnKey } from "../../../proof/own_key.ts";
import { sealRelease } from "../../../proof/releases.ts";
import { Button } from "../../../ui/button.tsx";
import { Field, TextArea } from "../../../ui/field.tsx";
import { FormDialog } from "../../../ui/form_dialog.tsx";
import { inert } from "../../../ui/inert.ts";
import { Note } from "../../../ui/notes.tsx";
import { ReleasedMeanwhile, toldWords } from "./quarantine_note.tsx";

interface Props {
  agent: AgentView;
  signer: OwnKey;
  proof: readonly string[];
  onOtherwise: () => void;
  onClose: () => void;
  onDone: (text: string) => void;
}

export function SignRelease({ agent, signer, proof, onOtherwise, onClose, onDone }: Props) {
  // What the person says yes to: a quarantine that is set meanwhile is another question.
  const [seen] = useState(agent.quarantine);
  const [reason, setReason] = useState("");
  const client = useQueryClient();
  // Pressed again after a lost answer it is the same document, which the hub takes once.
  const sealed = useRef({ of: "", document: "" });
  const release = useMutation({
    mutationFn: async () => {
      const epoch = seen?.epoch ?? 0;
      const of = JSON.stringify([signer.did, proof, epoch, reason]);
      if (sealed.current.of !== of) {
        const said = { reason: reason.trim(), proof, now: new Date() };
        const document = await sealRelease(signer, { agent: agent.did, epoch }, said);
        sealed.current = { of, document };
      }
      const body = { document: sealed.current.document };
      return api.post("/api/v1/agents/{did}/release", { path: { did: agent.did }, body });
    },
    onSuccess: () => onDone(toldWords(agent)),
    // Somebody else was first: the page shows what came of it.
    onError: () => void client.invalidateQueries({ queryKey: ["agents"] }),
  });
  const waiting = release.isPending || release.isSuccess;
  const over = !waiting && agent.state !== "quarantined";
  const other = !waiting && !over && agent.quarantine?.epoch !== seen?.epoch;
  return (
    <FormDialog
      title={`Release ${inert(agent.name)}`}
      description="Signed with your key in this browser. The agent checks the signature itself, and takes it from no hub."
      dismissible={reason === ""}
      verb="Sign the release"
      sending={release}
      ready={!over && !other}
      toldInside={over || other}
      onClose={onClose}
    >
      {seen?.active && (
        <p>
          <span className="text-muted">Stopped by </span>
          <Who id={seen.by} />
          {seen.reason !== "" && `: ${inert(seen.reason)}`}
        </p>
      )}
      <Field label="Reason" hint="Kept in the record and told to the agent.">
        {(props) => (
          <TextArea
            {...props}
            rows={2}
            maxLength={1000}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
      </Field>
      {over && <ReleasedMeanwhile />}
      {other && (
        <Note tone="wait">
          Meanwhile it was stopped again
          {agent.quarantine?.reason ? `: ${inert(agent.quarantine.reason)}` : ""}. Close this, and
          look before you release it.
        </Note>
      )}
      {!over && !other && !agent.online && (
        <Note>
          It is offline. The release is kept for 30 days, and is the first thing it hears when it
          comes back.
        </Note>
      )}
      <p>
        <Button size="sm" look="quiet" className="-ml-2" onClick={onOtherwise}>
          Release it with another key
        </Button>
      </p>
    </FormDialog>
  );
}
