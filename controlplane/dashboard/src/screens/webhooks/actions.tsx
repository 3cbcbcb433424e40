// What can be done with a webhook: tried, paused, changed, given a new secret, removed.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Pause, Pencil, Play, Send, Trash2 } from "lucide-react";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { DeliveryView, WebhookView } from "../../api/schema.gen.ts";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Checkbox } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { ProblemNote } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast, toastProblem } from "../../ui/toasts.tsx";
import { WebhookForm } from "./form.tsx";
import { SecretDialog } from "./secret.tsx";
import { hostOf } from "./webhook.tsx";

type Asked = "resume" | "edit" | "rotate" | "delete";

export function WebhookActions({
  webhook,
  onTested,
  onGone,
}: {
  webhook: WebhookView;
  /** Told how the test went, so that it can be shown. */
  onTested: (delivery: DeliveryView) => void;
  onGone: () => void;
}) {
  const client = useQueryClient();
  const may = useCan("webhooks.write");
  const [asked, setAsked] = useState<Asked | null>(null);
  const [renewed, setRenewed] = useState<WebhookView | null>(null);
  const close = () => setAsked(null);
  const path = { id: webhook.id };
  const refresh = () => client.invalidateQueries({ queryKey: ["webhooks"] });
  const test = useMutation({
    mutationFn: () => api.post("/api/v1/webhooks/{id}/test", { path }),
    onSuccess: (sent) => {
      void refresh();
      onTested(sent);
    },
    onError: toastProblem,
  });
  const pause = useMutation({
    mutationFn: () => api.patch("/api/v1/webhooks/{id}", { path, body: { enabled: false } }),
    onSuccess: () => {
      void refresh();
      toast("Nothing is sent to it now");
    },
    onError: toastProblem,
  });
  const rotate = useMutation({
    mutationFn: () => api.post("/api/v1/webhooks/{id}/rotate-secret", { path }),
    onSuccess: (one) => {
      void refresh();
      setRenewed(one);
      close();
    },
  });
  const remove = useMutation({
    mutationFn: () => api.delete("/api/v1/webhooks/{id}", { path }),
    onSuccess: () => {
      toast("The webhook is gone");
      // Asked for once more, it would be missing.
      client.removeQueries({ queryKey: ["webhooks", webhook.id] });
      void client.invalidateQueries({ queryKey: ["webhooks", "list"] });
      onGone();
    },
  });
  if (!may) return null;
  const host = inert(hostOf(webhook.url));
  return (
    <>
      <Button icon={Send} busy={test.isPending} onClick={() => test.mutate()}>
        Send a test
      </Button>
      {webhook.state === "enabled" ? (
        <Button icon={Pause} busy={pause.isPending} onClick={() => pause.mutate()}>
          Pause
        </Button>
      ) : (
        <Button icon={Play} look="primary" onClick={() => setAsked("resume")}>
          Resume
        </Button>
      )}
      <Button icon={Pencil} onClick={() => setAsked("edit")}>
        Edit
      </Button>
      <Button icon={KeyRound} onClick={() => setAsked("rotate")}>
        New secret
      </Button>
      <Button icon={Trash2} onClick={() => setAsked("delete")}>
        Delete
      </Button>
      {asked === "resume" && <Resume webhook={webhook} onClose={close} />}
      {asked === "edit" && (
        <WebhookForm
          webhook={webhook}
          onClose={close}
          onDone={() => {
            toast("Saved");
            close();
          }}
        />
      )}
      <Confirm
        open={asked === "rotate"}
        onOpenChange={close}
        title={`A new secret for ${host}?`}
        verb="Make it"
        busy={rotate.isPending}
        problem={rotate.error ? asProblem(rotate.error) : null}
        onConfirm={() => rotate.mutate()}
      >
        <p>The old one signs beside it for a while, so that the receiver can be changed.</p>
      </Confirm>
      <Confirm
        open={asked === "delete"}
        onOpenChange={close}
        title={`Delete the webhook to ${host}?`}
        typed={hostOf(webhook.url)}
        verb="Delete"
        danger
        busy={remove.isPending}
        problem={remove.error ? asProblem(remove.error) : null}
        onConfirm={() => remove.mutate()}
      >
        <p>
          What waits for it and its dead letters go with it. What happens from now on is told there
          no more; the record keeps all of it.
        </p>
      </Confirm>
      {renewed?.secret && (
        <SecretDialog
          secret={renewed.secret}
          title="The new secret, shown this once"
          onClose={() => setRenewed(null)}
        >
          {renewed.previousSecretUntil && (
            <p className="text-muted">
              Until the receiver knows it: the old one signs too, and stops{" "}
              <Ago at={renewed.previousSecretUntil} />.
            </p>
          )}
        </SecretDialog>
      )}
    </>
  );
}

function Resume({ webhook, onClose }: { webhook: WebhookView; onClose: () => void }) {
  const client = useQueryClient();
  const [catchUp, setCatchUp] = useState(true);
  const resume = useMutation({
    mutationFn: () =>
      api.patch("/api/v1/webhooks/{id}", {
        path: { id: webhook.id },
        body: { enabled: true, catchUp },
      }),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["webhooks"] });
      toast(catchUp ? "It is told what it has missed" : "It is told from now on");
      onClose();
    },
  });
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={`Send to ${inert(hostOf(webhook.url))} again`}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" busy={resume.isPending} onClick={() => resume.mutate()}>
            Resume
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-3 pb-3">
        <Checkbox
          label="Tell it first what it has missed"
          hint="From the record, in order. Without it: only what happens from now on."
          checked={catchUp}
          onChange={(event) => setCatchUp(event.target.checked)}
        />
        {resume.error && <ProblemNote problem={asProblem(resume.error)} />}
      </div>
    </Dialog>
  );
}
