// One request to join, decided: the fingerprint first, then what the agent may do.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useId, useState } from "react";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { RegistrationView } from "../../api/schema.gen.ts";
import { Fact, Facts } from "../../app/page.tsx";
import { allRealms } from "../../people/realms.ts";
import { StateWord } from "../../ui/badge.tsx";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { Drawer } from "../../ui/dialog.tsx";
import { Checkbox, Field, TextInput } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, ProblemNote, Waiting } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { type Grant, GrantField, grantBody } from "./grant.tsx";
import { requestOf } from "./queries.ts";
import { RealmsField } from "./realms_field.tsx";

interface Props {
  id: string;
  onClose: () => void;
  onEnrolled: (did: string) => void;
}

export function RequestDrawer({ id, onClose, onEnrolled }: Props) {
  const request = useQuery(requestOf(id));
  const found = request.data;
  const title = found ? `${inert(found.name)} asks to join` : "A request to join";
  if (found?.state === "pending")
    return <Decide request={found} title={title} onClose={onClose} onEnrolled={onEnrolled} />;
  return (
    <Drawer open onOpenChange={onClose} title={title}>
      {request.isPending && <Waiting lines={6} />}
      {request.isError && <Failed error={request.error} onRetry={() => void request.refetch()} />}
      {found && (
        <p className="flex gap-2 text-muted">
          <StateWord state={found.state} /> <Ago at={found.decidedAt} />
          {found.reason && `: ${inert(found.reason)}`}
        </p>
      )}
    </Drawer>
  );
}

function Decide({
  request,
  title,
  onClose,
  onEnrolled,
}: Omit<Props, "id"> & { request: RegistrationView; title: string }) {
  const client = useQueryClient();
  const may = useCan("enrolment.manage");
  const realms = useQuery(allRealms).data?.items.map((one) => one.id) ?? [];
  const form = useId();
  const [name, setName] = useState(request.name);
  const [chosen, setChosen] = useState<readonly string[]>([request.realm ?? "default"]);
  const [compared, setCompared] = useState(false);
  const [grant, setGrant] = useState<Grant>({ kind: "actions", actions: [] });
  const [rejecting, setRejecting] = useState(false);
  const settled = () => {
    void client.invalidateQueries({ queryKey: ["registrations"] });
    void client.invalidateQueries({ queryKey: ["agents"] });
  };
  const approve = useMutation({
    mutationFn: () =>
      api.post("/api/v1/registrations/{id}/approve", {
        path: { id: request.id },
        body: {
          ...(name === request.name ? {} : { name }),
          realms: [...chosen],
          ...grantBody(grant),
        },
      }),
    onSuccess: (decided) => {
      settled();
      toast(`${inert(decided.agent?.name ?? name)} is enrolled`);
      onEnrolled(request.did);
    },
  });
  const reject = useMutation({
    mutationFn: (reason: string) =>
      api.post("/api/v1/registrations/{id}/reject", { path: { id: request.id }, body: { reason } }),
    onSuccess: () => {
      settled();
      toast(`${inert(request.name)} was turned down`);
      onClose();
    },
  });
  const ready = compared && chosen.length > 0 && grant.kind !== "unreadable";
  return (
    <Drawer
      open
      onOpenChange={onClose}
      title={title}
      dismissible={!compared}
      footer={
        may && (
          <>
            <Button className="mr-auto" onClick={() => setRejecting(true)}>
              Turn down
            </Button>
            <Button
              type="submit"
              form={form}
              look="primary"
              disabled={!ready}
              busy={approve.isPending}
            >
              Enrol
            </Button>
          </>
        )
      }
    >
      <form
        id={form}
        className="flex flex-col gap-5 pb-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) approve.mutate();
        }}
      >
        <Fingerprint request={request} />
        {may && (
          <>
            <Checkbox
              label="It is the same there"
              hint="Whoever runs the agent reads it to you, not over the network you do not trust."
              checked={compared}
              onChange={(event) => setCompared(event.target.checked)}
            />
            <Part title="Who it is">
              <Field label="Name">
                {(props) => (
                  <TextInput
                    {...props}
                    required
                    spellCheck={false}
                    value={name}
                    onChange={(event) => setName(event.target.value)}
                  />
                )}
              </Field>
              <RealmsField realms={realms} chosen={chosen} onChange={setChosen} />
            </Part>
            <Part title="What it may do">
              <GrantField offered={actionsOf(request)} grant={grant} onChange={setGrant} />
            </Part>
          </>
        )}
        <Part title="What it says of itself">
          <Facts>
            <Fact name="From">{request.address}</Fact>
            <Fact name="Version">{inert(request.version)}</Fact>
            <Fact name="System">{inert(hostOf(request.host))}</Fact>
            <Fact name="Asked">
              <Ago at={request.requestedAt} />
            </Fact>
            <Fact name="DID">
              <CopyField value={request.did} label="DID" short />
            </Fact>
          </Facts>
        </Part>
        {approve.error && <ProblemNote problem={asProblem(approve.error)} />}
      </form>
      <Confirm
        open={rejecting}
        onOpenChange={setRejecting}
        title={`Turn ${inert(request.name)} down?`}
        verb="Turn down"
        danger
        reason
        busy={reject.isPending}
        problem={reject.error ? asProblem(reject.error) : null}
        onConfirm={(reason) => reject.mutate(reason)}
      >
        <p>The agent is told the reason and stops asking until somebody starts it anew.</p>
      </Confirm>
    </Drawer>
  );
}

function Fingerprint({ request }: { request: RegistrationView }) {
  return (
    <div className="rounded-md border border-line bg-sunken px-4 py-3">
      <p className="text-xs text-muted">Fingerprint</p>
      <p className="my-1 font-mono text-xl font-medium tracking-wide">{request.fingerprint}</p>
      <p className="text-muted">
        On the agent's machine, <code className="text-xs">writ agent fingerprint</code> has to show
        the same.
      </p>
    </div>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="flex flex-col gap-3">
      <h3 className="font-semibold">{title}</h3>
      {children}
    </section>
  );
}

function actionsOf(request: RegistrationView): string[] {
  return request.actions.flatMap((one) => (typeof one.name === "string" ? [one.name] : []));
}

export function hostOf(host: Record<string, unknown>): string {
  return ["hostname", "os", "arch", "python"]
    .flatMap((name) => (typeof host[name] === "string" ? [host[name]] : []))
    .join(" · ");
}
