// What can be done to an agent: labelled, stopped, let go again, shut out.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Ban, OctagonPause, Pencil, Play } from "lucide-react";
import { useState } from "react";
import { api } from "../../../api/client.ts";
import { useCan } from "../../../api/me.ts";
import { asProblem } from "../../../api/problem.ts";
import type { AgentView } from "../../../api/schema.gen.ts";
import { Button } from "../../../ui/button.tsx";
import { Confirm } from "../../../ui/confirm.tsx";
import { inert } from "../../../ui/inert.ts";
import { toast } from "../../../ui/toasts.tsx";
import { EditDialog } from "./edit.tsx";
import { ReleaseDialog } from "./release.tsx";

type Asked = "edit" | "quarantine" | "release" | "revoke";

export function AgentActions({ agent }: { agent: AgentView }) {
  const client = useQueryClient();
  const mayEdit = useCan("agents.edit");
  const mayStop = useCan("agents.quarantine");
  const mayRevoke = useCan("agents.revoke");
  const [asked, setAsked] = useState<Asked | null>(null);
  const close = () => setAsked(null);
  const done = (text: string) => {
    void client.invalidateQueries({ queryKey: ["agents"] });
    toast(text);
    close();
  };
  const path = { did: agent.did };
  const name = inert(agent.name);
  const quarantine = useMutation({
    mutationFn: (reason: string) =>
      api.post("/api/v1/agents/{did}/quarantine", { path, body: { reason } }),
    onSuccess: () => done(`${name} is told to refuse all work`),
  });
  const revoke = useMutation({
    mutationFn: (reason: string) =>
      api.post("/api/v1/agents/{did}/revoke", { path, body: { reason } }),
    onSuccess: () => done(`${name} is shut out`),
  });
  if (agent.state === "revoked") return null;
  return (
    <>
      {mayEdit && (
        <Button icon={Pencil} onClick={() => setAsked("edit")}>
          Edit
        </Button>
      )}
      {mayStop &&
        (agent.state === "quarantined" ? (
          <Button icon={Play} onClick={() => setAsked("release")}>
            Release
          </Button>
        ) : (
          <Button icon={OctagonPause} onClick={() => setAsked("quarantine")}>
            Quarantine
          </Button>
        ))}
      {mayRevoke && (
        <Button icon={Ban} onClick={() => setAsked("revoke")}>
          Revoke
        </Button>
      )}
      <Confirm
        open={asked === "quarantine"}
        onOpenChange={close}
        title={`Stop ${name}?`}
        verb="Quarantine"
        danger
        reason
        busy={quarantine.isPending}
        problem={quarantine.error ? asProblem(quarantine.error) : null}
        onConfirm={(reason) => quarantine.mutate(reason)}
      >
        <p>
          It ends what it does and refuses all work, as soon as it hears of it. The hub signs this;
          it cannot take it back: releasing needs a document signed by an operator or the root.
        </p>
      </Confirm>
      <Confirm
        open={asked === "revoke"}
        onOpenChange={close}
        title={`Shut ${name} out for good?`}
        typed={agent.name}
        verb="Revoke"
        danger
        reason
        busy={revoke.isPending}
        problem={revoke.error ? asProblem(revoke.error) : null}
        onConfirm={(reason) => revoke.mutate(reason)}
      >
        <p>
          Its key never counts again, here and for every other agent. Orders that wait for it end.
          There is no way back: the machine would have to be enrolled anew, with another key.
        </p>
      </Confirm>
      {asked === "release" && <ReleaseDialog agent={agent} onClose={close} onDone={done} />}
      {asked === "edit" && <EditDialog agent={agent} onClose={close} onDone={done} />}
    </>
  );
}
