// Bringing an agent in: a token that works once, the command to run there, and waiting for it.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { CircleCheck, LoaderCircle } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { api } from "../../api/client.ts";
import { useEvents } from "../../api/freshness.ts";
import type { IssuedTokenView } from "../../api/schema.gen.ts";
import { allRealms } from "../../people/realms.ts";
import { Button } from "../../ui/button.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Checkbox, Field, Select, TextInput } from "../../ui/field.tsx";
import { FormDialog } from "../../ui/form_dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { LifetimeField, type Lifetimes } from "../../ui/lifetime.tsx";
import { Note } from "../../ui/notes.tsx";
import { Countdown } from "../../ui/time.tsx";

const LIFETIMES: Lifetimes = [
  [900, "15 minutes"],
  [3_600, "1 hour"],
  [86_400, "1 day"],
  [7 * 86_400, "7 days"],
  [30 * 86_400, "30 days"],
];

export function EnrolDialog({
  open,
  onOpenChange,
}: {
  open: boolean;
  onOpenChange: (open: boolean) => void;
}) {
  return open ? <Enrol onClose={() => onOpenChange(false)} /> : null;
}

function Enrol({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [seconds, setSeconds] = useState(900);
  const [realm, setRealm] = useState("");
  const realms = useQuery(allRealms).data?.items ?? [];
  const [auto, setAuto] = useState(false);
  const [allowed, setAllowed] = useState("");
  const make = useMutation({
    mutationFn: () =>
      api.post("/api/v1/join-tokens", {
        body: {
          ...(name.trim() ? { name: name.trim() } : {}),
          ...(realm ? { realm } : {}),
          autoApprove: auto,
          expiresInSeconds: seconds,
          ...(auto ? { capabilities: allowed.split(/[\s,]+/).filter(Boolean) } : {}),
        },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["join-tokens"] }),
  });
  if (make.data) return <Waiting token={make.data} name={name.trim()} onClose={onClose} />;
  return (
    <FormDialog
      title="Enrol an agent"
      description="You get one command to run where the work is. It dials out; nothing has to be opened there."
      verb="Make the command"
      sending={make}
      onClose={onClose}
    >
      <Field
        label="Its name"
        hint="The token then counts for this name only; * stands for anything."
      >
        {(props) => (
          <TextInput
            {...props}
            autoComplete="off"
            spellCheck={false}
            placeholder="build-1"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      {realms.length > 1 && (
        <Field label="Its realm">
          {(props) => (
            <Select {...props} value={realm} onChange={(event) => setRealm(event.target.value)}>
              <option value="">default</option>
              {realms
                .filter((one) => one.id !== "default")
                .map((one) => (
                  <option key={one.id} value={one.id}>
                    {inert(one.id)}
                  </option>
                ))}
            </Select>
          )}
        </Field>
      )}
      <LifetimeField
        label="The token counts for"
        lifetimes={LIFETIMES}
        seconds={seconds}
        onChange={setSeconds}
      />
      <Checkbox
        label="Enrol it without asking me again"
        hint="Whoever has the token is in: leave this off to compare fingerprints first."
        checked={auto}
        onChange={(event) => setAuto(event.target.checked)}
      />
      {auto && (
        <Field label="It may then do" hint="Actions, such as files.* echo. Empty: nothing yet.">
          {(props) => (
            <TextInput
              {...props}
              autoComplete="off"
              spellCheck={false}
              placeholder="files.* echo"
              value={allowed}
              onChange={(event) => setAllowed(event.target.value)}
            />
          )}
        </Field>
      )}
    </FormDialog>
  );
}

interface Came {
  name: string;
  to: string;
  enrolled: boolean;
}

function Waiting({
  token,
  name,
  onClose,
}: {
  token: IssuedTokenView;
  name: string;
  onClose: () => void;
}) {
  const [came, setCame] = useState<Came | null>(null);
  useEvents("registration.requested", ({ data }) =>
    setCame({
      name: String(data.name ?? ""),
      to: `/fleet/requests/${String(data.registration ?? "")}`,
      enrolled: false,
    }),
  );
  useEvents("agent.enrolled", ({ data }) =>
    setCame({
      name: String(data.name ?? ""),
      to: `/fleet/${String(data.agent ?? "")}`,
      enrolled: true,
    }),
  );
  const named = name !== "" && !name.includes("*") ? ` --name ${name}` : "";
  const command = `writ agent run --join ${token.token ?? ""}${named}`;
  return (
    <Dialog
      open
      wide
      onOpenChange={onClose}
      title="Run this where the work is"
      dismissible={came !== null}
      footer={
        came ? (
          <Link
            to={came.to}
            onClick={onClose}
            className="inline-flex h-8 items-center rounded-md bg-accent px-3 font-medium text-on-accent hover:bg-accent-hover"
          >
            {came.enrolled ? `Go to ${inert(came.name)}` : "Compare fingerprints"}
          </Link>
        ) : (
          <Button onClick={onClose}>Close</Button>
        )
      }
    >
      <div className="flex flex-col gap-4 pb-3">
        <CopyField value={command} label="command" block />
        <Note tone="wait">
          The token is shown this once. It works once, and for{" "}
          <Countdown to={token.expiresAt} over="no time any more" />.
        </Note>
        <p className="text-muted">
          The agent needs <code className="text-xs">pip install writd</code> and Python 3.11 or
          newer. <code className="text-xs">--workspace</code> names the folder it works in.
        </p>
        <p role="status" className="flex items-center gap-2">
          {came ? (
            <>
              <CircleCheck aria-hidden className="size-4 text-good" />
              <span>
                <b className="font-semibold">{inert(came.name)}</b>{" "}
                {came.enrolled ? "is enrolled." : "asks to join."}
              </span>
            </>
          ) : (
            <>
              <LoaderCircle aria-hidden className="size-4 animate-spin text-muted" />
              <span className="text-muted">Waiting for it to come…</span>
            </>
          )}
        </p>
      </div>
    </Dialog>
  );
}
